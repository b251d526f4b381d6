//! Commands of version 2 of the protocol (gitprotocol-v2, "Command Request"), as a client sends them.

/// A command with its capabilities and arguments.
pub fn command(name: &str, capabilities: &[&str], arguments: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut request = Vec::new();
    let line = |data: &[u8], request: &mut Vec<u8>| {
        request.extend_from_slice(format!("{:04x}", data.len() + 4).as_bytes());
        request.extend_from_slice(data);
    };
    line(format!("command={name}").as_bytes(), &mut request);
    capabilities.iter().for_each(|capability| line(capability.as_bytes(), &mut request));
    request.extend_from_slice(b"0001");
    arguments.into_iter().for_each(|argument| line(argument.as_ref(), &mut request));
    request.extend_from_slice(b"0000");
    request
}
