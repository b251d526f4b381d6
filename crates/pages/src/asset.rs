//! Style sheet, script and picture. Each is served under a name with its content's digest in it, so that a browser may keep it for
//! ever and still never has an old one.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file that pages need.
#[derive(Debug)]
pub struct Asset {
    /// Its name, without the digest.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// What is in it.
    pub content: &'static str,
    path: String,
}

/// The asset at a path, if there is one.
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// Where the asset of a name is.
pub(crate) fn path_of(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.path.as_str())
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    let asset = |name, media_type, content: &'static str| {
        let digest = Sha256::digest(content);
        let mark: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Asset { name, media_type, content, path: format!("/site/assets/{mark}/{name}") }
    };
    [
        asset("doorward.css", "text/css; charset=utf-8", include_str!("../assets/doorward.css")),
        asset("doorward.js", "text/javascript; charset=utf-8", include_str!("../assets/doorward.js")),
        asset("doorward.svg", "image/svg+xml", include_str!("../assets/doorward.svg")),
    ]
});
