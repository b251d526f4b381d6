//! What sort of file a file is, by its name and place, and how a credential is written into it.

use std::path::Path;

/// A sort of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// git's configuration: of a clone, a worktree, a submodule, a person; `.gitmodules`.
    GitConfig,
    /// What `git credential-store` keeps.
    GitCredentials,
    /// `.netrc`, which curl, pip, go and git read.
    Netrc,
    /// Variables with their values, for one machine.
    Environment,
    /// A program for a shell.
    Script,
    /// A job of GitHub's.
    GithubWorkflow,
    /// A job of Azure's.
    AzurePipeline,
    /// A job of another CI service, whose steps are run by a shell.
    Pipeline,
    /// pip's requirements, in which variables count.
    Requirements,
    /// pip's own configuration, in which they do not.
    PipConfig,
    /// npm's configuration.
    Npmrc,
    /// A manifest or lock of a package manager, which has git fetch what it names.
    Manifest,
    /// Composer's credentials.
    ComposerAuth,
    /// Anything else.
    Other,
}

/// What may be written where a secret stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Puts {
    /// Nothing: git asks its helper.
    Nothing,
    /// Nothing, and not the line either.
    Line,
    /// The new secret: the file is its owner's alone.
    Secret,
    /// A reference to a variable.
    Variable(&'static str),
    /// That cannot be known.
    Unknown,
}

impl Format {
    /// The sort of a file.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let parent = path.parent().unwrap_or(path);
        let within = |name: &str| parent.file_name().is_some_and(|parent| parent == name);
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let yaml = matches!(extension, "yml" | "yaml");
        match name.as_str() {
            ".gitconfig" | "gitconfig" | ".gitmodules" | ".lfsconfig" | "config.worktree" => Self::GitConfig,
            _ if name.starts_with(".gitconfig") => Self::GitConfig,
            "config" if within("git") || within(".git") || parent.join("HEAD").is_file() => Self::GitConfig,
            ".git-credentials" | "git-credentials" => Self::GitCredentials,
            "credentials" if within("git") => Self::GitCredentials,
            ".netrc" | "_netrc" | "netrc" => Self::Netrc,
            "auth.json" => Self::ComposerAuth,
            ".npmrc" | "npmrc" => Self::Npmrc,
            "pip.conf" | "pip.ini" => Self::PipConfig,
            "package.json"
            | "package-lock.json"
            | "npm-shrinkwrap.json"
            | "yarn.lock"
            | "pnpm-lock.yaml"
            | "composer.json"
            | "composer.lock"
            | "pyproject.toml"
            | "poetry.lock"
            | "uv.lock"
            | "Pipfile"
            | "Pipfile.lock" => Self::Manifest,
            ".bashrc" | ".bash_profile" | ".bash_login" | ".profile" | ".zshrc" | ".zshenv" | ".zprofile"
            | ".kshrc" | ".bash_aliases" => Self::Script,
            // What is there to be copied is filled in by whoever copies it.
            _ if ["example", "sample", "template", "dist"].contains(&extension) => Self::Other,
            ".env" | ".envrc" => Self::Environment,
            _ if name.starts_with(".env.") || extension == "env" => Self::Environment,
            _ if yaml && within("workflows") => Self::GithubWorkflow,
            _ if yaml && name.starts_with("azure-pipelines") => Self::AzurePipeline,
            _ if yaml && (PIPELINES.contains(&name.as_str()) || within(".gitlab")) => Self::Pipeline,
            _ if ["txt", "in"].contains(&extension) && (name.contains("requirements") || within("requirements")) => {
                Self::Requirements
            }
            _ if extension == "txt" && name.starts_with("constraints") => Self::Requirements,
            _ if matches!(extension, "sh" | "bash" | "zsh" | "ksh") => Self::Script,
            _ => Self::Other,
        }
    }

    /// The sort of a file by its name, or by its first line where the name says nothing.
    pub(super) fn of_text(path: &Path, text: &str) -> Self {
        let interpreter = |line: &str| {
            let program = |word: &str| word.rsplit('/').next().map(str::to_owned).unwrap_or_default();
            let mut words = line.strip_prefix("#!").into_iter().flat_map(str::split_whitespace).map(program);
            words.find(|word| word != "env" && !word.starts_with('-'))
        };
        let interpreter = text.lines().next().and_then(interpreter);
        let shell = interpreter.as_deref().map(|name| ["sh", "bash", "dash", "zsh", "ksh"].contains(&name));
        match (Self::of(path), shell) {
            (Self::Other, Some(true)) => Self::Script,
            // Whatever its name says, this is what runs it.
            (Self::Script, Some(false)) => Self::Other,
            (format, _) => format,
        }
    }

    /// What may be written into it.
    pub fn puts(self) -> Puts {
        match self {
            Self::GitConfig | Self::Manifest => Puts::Nothing,
            Self::GitCredentials => Puts::Line,
            Self::Netrc | Self::Environment | Self::PipConfig | Self::ComposerAuth => Puts::Secret,
            Self::GithubWorkflow => Puts::Variable("${{ secrets.BITBUCKET_API_TOKEN }}"),
            Self::AzurePipeline => Puts::Variable("$(BITBUCKET_API_TOKEN)"),
            Self::Script | Self::Pipeline | Self::Requirements | Self::Npmrc => {
                Puts::Variable("${BITBUCKET_API_TOKEN}")
            }
            Self::Other => Puts::Unknown,
        }
    }

    /// Whether an ignored file of this sort is looked at all the same: secrets are ignored so that git does not keep them.
    pub(super) fn is_kept_out_of_git(self) -> bool {
        matches!(self, Self::Environment | Self::Netrc | Self::GitCredentials | Self::ComposerAuth | Self::Npmrc)
            || self == Self::PipConfig
    }
}

/// Those whose variables are written as a shell's, wherever they stand. Others replace, or keep, `${…}` in ways of their own.
const PIPELINES: &[&str] = &["bitbucket-pipelines.yml", ".gitlab-ci.yml"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_its_place_or_its_first_line() {
        for (path, format) in [
            ("/home/ada/.gitconfig", Format::GitConfig),
            ("/home/ada/.config/git/config", Format::GitConfig),
            ("/home/ada/.config/git/credentials", Format::GitCredentials),
            ("site/.gitmodules", Format::GitConfig),
            ("site/config", Format::Other),
            ("site/.env.production", Format::Environment),
            ("site/.github/workflows/ci.yml", Format::GithubWorkflow),
            ("site/bitbucket-pipelines.yml", Format::Pipeline),
            ("site/requirements-dev.txt", Format::Requirements),
            ("site/notes.txt", Format::Other),
            ("site/.env.example", Format::Other),
            ("dotfiles/netrc", Format::Netrc),
            ("/home/ada/.config/composer/auth.json", Format::ComposerAuth),
        ] {
            assert_eq!(Format::of(Path::new(path)), format, "{path}");
        }
        assert_eq!(Format::of_text(Path::new("bin/deploy"), "#!/usr/bin/env bash\n"), Format::Script);
        assert_eq!(Format::of_text(Path::new("bin/deploy"), "#!/bin/bash -e\n"), Format::Script);
        assert_eq!(Format::of_text(Path::new("deploy.sh"), "#!/usr/bin/fish\n"), Format::Other);
        assert_eq!(Format::of_text(Path::new("bin/deploy"), "#!/usr/bin/env python3\n"), Format::Other);
    }
}
