//! The firewall: what can be told from its own tools.

use super::Finding;
use std::process::Command;

const CHECK: &str = "firewall";

/// What the host's firewall says about incoming traffic.
pub(super) fn look(ports: &[u16]) -> Vec<Finding> {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let let_in = format!(
        "let UDP {} in and out, and the node's TCP port in (fix that one with `--listen 9000`)",
        ports.join(", ")
    );
    for (tool, arguments) in
        [("nft", &["list", "ruleset"][..]), ("iptables", &["-S", "INPUT"]), ("ufw", &["status"])]
    {
        match ask(tool, arguments) {
            Answer::Missing => {}
            Answer::Forbidden => {
                let text = format!("{tool} is installed, but only root may read its rules");
                return vec![Finding::note(
                    CHECK,
                    text,
                    format!("sudo p2pnet doctor; or: {let_in}"),
                )];
            }
            Answer::Rules(rules) if drops(tool, &rules) => {
                let text = format!("{tool} has rules that turn traffic away");
                return vec![Finding::note(CHECK, text, let_in)];
            }
            Answer::Rules(_) => {}
        }
    }
    vec![Finding::good(CHECK, "no rule that turns traffic away was found")]
}

enum Answer {
    Missing,
    Forbidden,
    Rules(String),
}

fn ask(tool: &str, arguments: &[&str]) -> Answer {
    let Ok(output) = Command::new(tool).args(arguments).output() else { return Answer::Missing };
    let words = String::from_utf8_lossy(&output.stderr).to_lowercase();
    if output.status.success() {
        Answer::Rules(String::from_utf8_lossy(&output.stdout).into_owned())
    } else if ["permit", "root", "denied"].iter().any(|word| words.contains(word)) {
        Answer::Forbidden
    } else {
        Answer::Missing
    }
}

/// Whether the rules turn traffic away by default or by a rule.
fn drops(tool: &str, rules: &str) -> bool {
    match tool {
        "nft" => nft_drops(rules),
        "iptables" => rules.lines().any(|line| {
            line == "-P INPUT DROP"
                || line == "-P INPUT REJECT"
                || line.ends_with("-j DROP")
                || line.contains("-j REJECT")
        }),
        _ => rules.lines().any(|line| line.trim() == "Status: active"),
    }
}

fn nft_drops(rules: &str) -> bool {
    // What may not leave matters as much as what may not come in.
    let mut matters = false;
    for line in rules.lines().map(str::trim) {
        if line.starts_with("chain ") {
            matters = false;
        }
        matters |= line.contains("hook input") || line.contains("hook output");
        let ends = |word: &str| line.split([' ', ';']).any(|part| part == word);
        if matters && (ends("drop") || ends("reject")) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let nft = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n\t}\n\
                   \tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}";
        assert!(!nft_drops(nft));
        assert!(nft_drops(&nft.replace("policy accept", "policy drop")));
        assert!(nft_drops(&nft.replace("accept;\n", "accept;\n\t\tudp dport 8001 drop\n")));
        assert!(drops("iptables", "-P INPUT DROP\n"));
        assert!(drops("iptables", "-P INPUT ACCEPT\n-A INPUT -p udp -j DROP\n"));
        assert!(!drops("iptables", "-P INPUT ACCEPT\n"));
        assert!(drops("ufw", "Status: active\n"));
        assert!(!drops("ufw", "Status: inactive\n"));
    }
}
