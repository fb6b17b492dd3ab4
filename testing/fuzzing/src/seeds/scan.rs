//! Seeds for what a widescan reads.

use super::Seeds;
use crate::scan::prober;
use p2pnet_protocol::widescan::{
    Order, Plan, ProbeNote, Prober, Shard, SpaceLimits, Targets, Walk, echo_of,
};

pub(super) fn add(seeds: &mut Seeds) {
    let input = |format: u8, text: &str| [&[format], text.as_bytes()].concat();
    seeds.add(
        "scan_input",
        "list",
        input(1, "# mine\n2001:db8::/32 a\n2001:db8::1-2001:db8::5\r\n2001:db8:1:2\n::1\nx\n"),
    );
    seeds.add(
        "scan_input",
        "delegated",
        input(
            7,
            "2|ripencc|1700000000|3|19830705|20260101|+0100\nripencc|*|ipv6|*|2|summary\n\
             ripencc|NL|ipv6|2001:db8::|32|20200101|allocated|0c9e\nripencc||ipv6|2001:db9::|129||available|\n",
        ),
    );
    seeds.add(
        "scan_input",
        "rpsl",
        input(
            23,
            "% remark\n\ninet6num: 2001:db8::/32\nnetname: ONE\ncountry: NL # there\nmnt-by: A-MNT,\n+ B-MNT\n  C-MNT\n\
             assignment-size: 56\nstatus: ASSIGNED\nsource: TEST\n\nroute6: 2001:db8::/48\norigin: AS64500\n",
        ),
    );
    seeds.add("scan_input", "origins", input(14, "2001:db8::\t32\t64500\n2001:db9::\t32\t1_2,3\n"));
    seeds.add("scan_input", "guessed", input(0, "; a\n2001:db8::/32,alias\n"));
    seeds.add(
        "scan_target",
        "prefixes",
        "fd00::/48\nfd00::/64\n!fd00::80/121\nfd01::1-fd01::9\n2001:db8:1:2\n1/3",
    );
    seeds.add("scan_target", "patterns", "fd00::/16\nfd00::[1-5]?:0\nfd00::1?:[0f]\n00:16:3e\n");
    let mut targets = Targets::new();
    targets.add("2a00::/32".parse().expect("a prefix"));
    let space = targets.compile(&SpaceLimits::default()).expect("a space");
    let plan = Plan::new(space, Order::Even, 7);
    let mut walk = Walk::new(&plan, Shard::new(2, 3).expect("a shard"));
    walk.skip(12_345);
    seeds.add("scan_cursor", "middle", walk.cursor(&plan).to_bytes());
    walk.skip(u128::MAX);
    seeds.add("scan_cursor", "end", walk.cursor(&plan).to_bytes());
    packets(seeds);
}

fn packets(seeds: &mut Seeds) {
    let mut probe = vec![0; Prober::BYTES_MAX];
    let target = "2001:db8:1::2".parse().expect("an address");
    let note = ProbeNote { attempt: 0, mark: 5, sent_ms: 1000 };
    let length = prober().write(target, note, &mut probe).expect("there is room");
    probe.truncate(length);
    let reply = echo_of(&probe).expect("it is a request");
    let mut error = reply.clone();
    error.truncate(40);
    error.extend_from_slice(&[1, 1, 0, 0, 0, 0, 0, 0]);
    error.extend_from_slice(&probe);
    let mut stop = reply.clone();
    stop[52] |= 2;
    // From somebody else, to this scan.
    let mut advert = probe.clone();
    advert.copy_within(24..40, 8);
    seeds.add("scan_packet", "probe", probe);
    seeds.add("scan_packet", "reply", reply);
    seeds.add("scan_packet", "error", error);
    seeds.add("scan_packet", "stop", stop);
    seeds.add("scan_packet", "advert", advert);
}
