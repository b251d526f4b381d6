//! What git says that it can do, learned from git itself: once for each format of objects, of a repository with
//! one branch. Of an empty one git before 2.41 says nothing to whoever fetches.

use doorward_wire::PktLine;

use crate::bundle::CAPABILITY;
use crate::{GitError, ObjectFormat, Repositories};

/// What git can do, as it says before it lists refs.
#[derive(Debug)]
pub(crate) struct Capabilities {
    /// For fetches in versions 0 and 1.
    pub(super) fetch: Box<[u8]>,
    /// For pushes.
    pub(super) push: Box<[u8]>,
    /// The whole answer in version 2.
    pub(crate) version_2: bytes::Bytes,
    /// The same for repositories that are here, of which there may be bundles.
    pub(crate) version_2_with_bundles: bytes::Bytes,
}

impl Repositories {
    /// What git can do with repositories of a format.
    pub(crate) async fn capabilities(&self, format: ObjectFormat) -> Result<&Capabilities, GitError> {
        let cell = match format {
            ObjectFormat::Sha1 => &self.capabilities[0],
            ObjectFormat::Sha256 => &self.capabilities[1],
        };
        cell.get_or_try_init(|| self.learn(format)).await
    }

    async fn learn(&self, format: ObjectFormat) -> Result<Capabilities, GitError> {
        let specimen = self.specimen(format).await?;
        let asked = async |service: &'static str, version: &str| {
            let mut command = self.git.command(specimen.path());
            command.args([service, "--stateless-rpc", "--http-backend-info-refs", "."]);
            command.env("GIT_PROTOCOL", format!("version={version}"));
            self.git.run(service, &mut command).await
        };
        let version_2 = asked("upload-pack", "2").await?;
        let mut with_bundles = version_2.clone();
        // Git before 2.40 has none.
        if !version_2.windows(CAPABILITY.len()).any(|line| line == CAPABILITY) {
            with_bundles.truncate(version_2.len().saturating_sub(b"0000".len()));
            PktLine::write(CAPABILITY, &mut with_bundles);
            with_bundles.extend_from_slice(b"0000");
        }
        Ok(Capabilities {
            fetch: after_first_ref(&asked("upload-pack", "0").await?, "upload-pack")?,
            push: after_first_ref(&asked("receive-pack", "0").await?, "receive-pack")?,
            version_2: version_2.into(),
            version_2_with_bundles: with_bundles.into(),
        })
    }
}

/// What follows the zero byte in the line of the first ref.
fn after_first_ref(answer: &[u8], what: &'static str) -> Result<Box<[u8]>, GitError> {
    let strange = || GitError::Failed { what, stderr: "it lists refs in a way that is not known".into() };
    let Ok(Some((PktLine::Data(line), _))) = PktLine::read(answer) else { return Err(strange()) };
    let zero = line.iter().position(|byte| *byte == 0).ok_or_else(strange)?;
    Ok(line[zero + 1..].trim_ascii_end().into())
}
