//! The registries behind the guard.

use std::net::{Ipv4Addr, Ipv6Addr};

const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

const fn v6(a: u16, b: u16, c: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
}

/// IANA IPv4 Special-Purpose Address Registry, with multicast and the one cloud service that sits
/// on a public address.
pub(super) const V4: &[(Ipv4Addr, u8, &str)] = &[
    (v4(0, 0, 0, 0), 8, "this network, RFC 791"),
    (v4(10, 0, 0, 0), 8, "private use, RFC 1918"),
    (v4(100, 64, 0, 0), 10, "shared address space, RFC 6598"),
    (v4(127, 0, 0, 0), 8, "loopback, RFC 1122"),
    (v4(168, 63, 129, 16), 32, "Azure's virtual host"),
    (v4(169, 254, 0, 0), 16, "link local, RFC 3927"),
    (v4(172, 16, 0, 0), 12, "private use, RFC 1918"),
    (v4(192, 0, 0, 0), 24, "IETF protocol assignments, RFC 6890"),
    (v4(192, 0, 2, 0), 24, "documentation, RFC 5737"),
    (v4(192, 31, 196, 0), 24, "AS112, RFC 7535"),
    (v4(192, 52, 193, 0), 24, "AMT, RFC 7450"),
    (v4(192, 88, 99, 0), 24, "6to4 relay anycast, RFC 7526"),
    (v4(192, 168, 0, 0), 16, "private use, RFC 1918"),
    (v4(192, 175, 48, 0), 24, "AS112, RFC 7534"),
    (v4(198, 18, 0, 0), 15, "benchmarking, RFC 2544"),
    (v4(198, 51, 100, 0), 24, "documentation, RFC 5737"),
    (v4(203, 0, 113, 0), 24, "documentation, RFC 5737"),
    (v4(224, 0, 0, 0), 4, "multicast, RFC 5771"),
    (v4(240, 0, 0, 0), 4, "reserved, RFC 1112"),
];

/// The parts of 2000::/3 that are not ordinary hosts (IANA IPv6 Special-Purpose Address Registry).
/// The tunnels are refused whole, because any IPv4 address can be hidden in them.
pub(super) const V6: &[(Ipv6Addr, u8, &str)] = &[
    (v6(0x2001, 0, 0), 23, "IETF protocol assignments with Teredo and ORCHID, RFC 2928"),
    (v6(0x2001, 0xdb8, 0), 32, "documentation, RFC 3849"),
    (v6(0x2002, 0, 0), 16, "6to4, RFC 3056"),
    (v6(0x2620, 0x4f, 0x8000), 48, "AS112, RFC 7534"),
    (v6(0x3fff, 0, 0), 20, "documentation, RFC 9637"),
];

/// WHATWG Fetch, "bad port", sorted.
pub(super) const BAD_PORTS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115,
    117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601,
    636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
    10080,
];

/// IANA Special-Use Domain Names that never lead to a public host, the collision names of ICANN
/// (`corp`, `home`, `mail`), and the names of cloud metadata services.
pub(super) const SPECIAL_NAMES: &[&str] = &[
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "metadata.goog",
    "onion",
    "private",
    "test",
];
