//! The reference of all settings, as documentation prints it.

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::super::SETTINGS;
    use super::super::upstream::KEYS;
    use crate::print::check_document;

    #[test]
    fn the_reference_of_settings_is_up_to_date() {
        let mut text = String::from(
            "# Settings\n\nThis page is generated from the table in `crates/doorward/src/config/settings.rs`.\n\n\
             A flag wins over the environment, the environment over the file, the file over the default. The file is\n\
             `doorward.toml` in the data directory, or the one named with `--config`. `doorward config show` prints the\n\
             effective values and where each comes from. A name that is not in this table is an error.\n",
        );
        let mut section = None;
        for setting in SETTINGS {
            if setting.section() != section {
                section = setting.section();
                let _ = write!(text, "\n## `[{}]`\n", section.unwrap_or_default());
            }
            let default = if setting.default.is_empty() { "not set".into() } else { format!("`{}`", setting.default) };
            let _ = write!(
                text,
                "\n### `{}`\n\n{} Takes {}. Default: {default}. Variable: `{}`.\n",
                setting.key,
                setting.about,
                setting.kind.phrase(),
                setting.variable()
            );
        }
        text.push_str(
            "\n## `[[upstream]]`\n\nA host that this server is a gateway for; there may be several. `doorward upstream add` writes one.\n",
        );
        for key in KEYS {
            let default = if key.default.is_empty() { "not set".into() } else { format!("`{}`", key.default) };
            let _ =
                write!(text, "\n### `{}`\n\n{} Takes {}. Default: {default}.\n", key.key, key.about, key.kind.phrase());
        }
        check_document("docs/settings.md", &text);
    }
}
