//! The page that lists every refusal, printed from the kernel's catalogue; a test fails when it is stale.

use std::fmt::Write;

use doorward_rules::{
    Fault, Form, Kind, OwnFault, Reason, RuleSet, Rules, Scheme, Surface, Timestamp, Told, bitbucket_cloud, present,
};

#[test]
fn the_reference_of_refusals_is_up_to_date() {
    crate::print::check_document("docs/refusals.md", &page());
}

#[test]
fn the_reference_of_operations_is_up_to_date() {
    crate::print::check_document("docs/operations.md", &doorward_server::operations_reference());
}

fn page() -> String {
    let mut page = String::from(HEAD);
    let faults = Fault::ALL.map(Reason::Unreadable);
    for reason in Reason::CATALOGUE.iter().chain(&faults) {
        let [git, lfs, rest] = [Surface::Git, Surface::Lfs, Surface::Rest].map(|surface| reason.status(surface));
        let told = if reason.told() == Told::Anybody { "anybody" } else { "the holder" };
        let code = reason.code();
        let _ = write!(
            page,
            "\n### `{code}`\n\n{git} on git, {lfs} on LFS, {rest} on REST · told to {told}\n\n> {reason}\n>\n"
        );
        let _ = writeln!(page, "> hint: {}", reason.remedy());
    }
    page.push_str(OWN_FAULTS);
    for fault in OwnFault::ALL {
        let _ = writeln!(page, "| `{}` | {fault} |", fault.code());
    }
    page.push_str(FORMS);
    for kind in Kind::ALL {
        let cells = [Surface::Git, Surface::Rest].map(|surface| forms(kind, surface));
        let _ = writeln!(page, "| {} | {} | {} |", kind.phrase(), cells[0], cells[1]);
    }
    page.push_str(CHANGES);
    for change in bitbucket_cloud::CHANGES {
        let _ = writeln!(page, "| {} | {} |", &change.at.to_string()[..10], change.what);
    }
    page
}

/// The forms that Bitbucket Cloud accepts on the last day that is known, the one to use first.
fn forms(kind: Kind, surface: Surface) -> String {
    let calendar = bitbucket_cloud::calendar();
    let rules = Rules { set: RuleSet::BitbucketCloud, calendar: &calendar };
    let now = Timestamp::utc(2026, 11, 22);
    if present(rules, kind, surface, now).is_none() {
        return "–".into();
    }
    let rows =
        bitbucket_cloud::FORMS.iter().filter(|row| row.kind == kind && row.surface == surface && row.from <= now);
    rows.map(|row| cell(row.form)).collect::<Vec<_>>().join(", or ")
}

fn cell(form: Form) -> String {
    match form.scheme {
        Scheme::Basic if form.name.word().starts_with("x-") => format!("Basic, `{}`", form.name.word()),
        Scheme::Basic => format!("Basic, {}", form.name.word()),
        scheme => scheme.word().into(),
    }
}

const HEAD: &str = "# Refusals

This page is generated from the kernel's catalogue, `crates/rules/src/reason.rs`. [Why was I refused?](refused.md) is the
guide.

The code is stable: scripts may rely on it. On git the sentence and the hint are text, which git shows after `remote:`. On
REST they are the envelope's `error.message` and `error.detail.remedy`, beside `code`, `request_id`, and for missing scopes
`required` and `granted`. The audit keeps all of it under the request's id.

Who has not proven a secret is told only what is marked *anybody*. Where more than one thing stands in the way, the hint
names them all, in the order in which they are to be done. Git LFS is decided on, and not served yet.

## Reasons
";

const OWN_FAULTS: &str = "
## Trouble of the server's own

Always `503` with `Retry-After`, on every surface, and never a refusal: nothing was found against the credential.

| code | sentence |
|---|---|
";

const FORMS: &str = "
## In which form Bitbucket Cloud wants a credential

As on 22 November 2026; `doorward sandbox` answers by this table. Our own server takes every kind that it knows in every
form.

| kind | git | REST |
|---|---|---|
";

const CHANGES: &str = "
## Days on which Bitbucket Cloud's answers changed

| day | what |
|---|---|
";
