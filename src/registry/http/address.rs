//! Classifies addresses by how far they reach (RFC 6890 and the IANA special-purpose registries), and decides which a
//! registry may lead to.
//!
//! A registry that the internet routes to must not use its clients to reach what only they can reach. The judgement is
//! about the address that is connected to, after resolution: names can resolve anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches, from the nearest to the farthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::registry) enum Zone {
    /// This machine.
    Machine,
    /// The link, multicast, benchmarks, documentation, and what is reserved.
    Special,
    /// A private network.
    Network,
    /// The internet.
    Public,
}

impl Zone {
    /// Returns the zone of an address. An address that embeds an IPv4 address is in the nearest zone of both.
    pub(in crate::registry) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Returns whether what answers in this zone may lead us to `target`.
    ///
    /// This machine may lead into a private network, as a forwarded port of a registry there does. Any other zone leads
    /// to itself and to the internet alone.
    pub(in crate::registry) fn may_lead_to(self, target: Self) -> bool {
        match target {
            Self::Public => true,
            Self::Network => matches!(self, Self::Network | Self::Machine),
            Self::Special | Self::Machine => self == target,
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Zone {
    match address.octets() {
        // "This network": Linux connects 0.0.0.0 to itself.
        [0 | 127, ..] => Zone::Machine,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Zone::Network,
        [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Zone::Special,
        _ => Zone::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Zone {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Zone::Machine,
        // Mapped, compatible and translated (RFC 4291, RFC 2765), NAT64 (RFC 6052) and 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // Teredo (RFC 4380): its server, and its client with every bit turned.
        [0x2001, 0, server_high, server_low, _, _, high, low] => v4(server_high, server_low).min(v4(!high, !low)),
        // Unique local addresses, and NAT64 of a local network (RFC 8215).
        [0xfc00..=0xfdff, ..] | [0x64, 0xff9b, 1, ..] => Zone::Network,
        // Link-local, the former site-local, multicast; protocol assignments, documentation, discard and routing labels.
        [0xfe80..=0xfeff | 0xff00..=0xffff | 0x5f00, ..]
        | [0x2001, 1..=0x01ff | 0x0db8, ..]
        | [0x3fff, 0..=0x0fff, ..]
        | [0x100, 0, 0, 0 | 1, ..] => Zone::Special,
        // Everything else that is not global unicast is reserved.
        [0x2000..=0x3fff, ..] => Zone::Public,
        _ => Zone::Special,
    }
}

/// Returns the address that a host's text stands for by itself, without DNS: IPv6 in brackets or not, and IPv4 in every
/// form that resolvers take (`127.1`, `2130706433`, `0x7f.1`, `0177.0.0.1`), with a trailing dot too.
pub(in crate::registry) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Some(address);
    }
    numbers(bare.strip_suffix('.').unwrap_or(bare)).map(IpAddr::V4)
}

/// Returns an IPv4 address of one to four numbers (`inet_aton`): the last one fills the rest.
fn numbers(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').take(5).map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last().filter(|(_, first)| first.len() < 4)?;
    let room = u64::from(u32::MAX) >> (8 * first.len());
    if u64::from(*last) > room || first.iter().any(|part| *part > 255) {
        return None;
    }
    let high = first.iter().enumerate().map(|(at, part)| part << (24 - 8 * at)).sum::<u32>();
    Some(Ipv4Addr::from(high | last))
}

/// Returns a decimal, octal or hexadecimal number as C writes them.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // `0x` alone is zero to some.
    if digits.is_empty() && radix == 16 {
        return Some(0);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Zones by the first and the last address of each range, and the neighbours outside.
    #[test]
    fn every_range_begins_and_ends_where_the_registries_say() {
        use Zone::{Machine, Network, Public, Special};
        for (first, last, zone, before, after) in [
            ("0.0.0.0", "0.255.255.255", Machine, None, Some(("1.0.0.0", Public))),
            ("10.0.0.0", "10.255.255.255", Network, Some(("9.255.255.255", Public)), Some(("11.0.0.0", Public))),
            ("100.64.0.0", "100.127.255.255", Network, Some(("100.63.255.255", Public)), Some(("100.128.0.0", Public))),
            ("127.0.0.0", "127.255.255.255", Machine, Some(("126.255.255.255", Public)), Some(("128.0.0.0", Public))),
            (
                "169.254.0.0",
                "169.254.255.255",
                Special,
                Some(("169.253.255.255", Public)),
                Some(("169.255.0.0", Public)),
            ),
            ("172.16.0.0", "172.31.255.255", Network, Some(("172.15.255.255", Public)), Some(("172.32.0.0", Public))),
            ("192.0.0.0", "192.0.0.255", Special, Some(("191.255.255.255", Public)), Some(("192.0.1.0", Public))),
            ("192.0.2.0", "192.0.2.255", Special, Some(("192.0.1.255", Public)), Some(("192.0.3.0", Public))),
            (
                "192.168.0.0",
                "192.168.255.255",
                Network,
                Some(("192.167.255.255", Public)),
                Some(("192.169.0.0", Public)),
            ),
            ("198.18.0.0", "198.19.255.255", Special, Some(("198.17.255.255", Public)), Some(("198.20.0.0", Public))),
            (
                "198.51.100.0",
                "198.51.100.255",
                Special,
                Some(("198.51.99.255", Public)),
                Some(("198.51.101.0", Public)),
            ),
            ("203.0.113.0", "203.0.113.255", Special, Some(("203.0.112.255", Public)), Some(("203.0.114.0", Public))),
            ("224.0.0.0", "239.255.255.255", Special, Some(("223.255.255.255", Public)), None),
            ("240.0.0.0", "255.255.255.255", Special, None, None),
            ("::", "::1", Machine, None, None),
            ("::ffff:127.0.0.0", "::ffff:127.255.255.255", Machine, None, Some(("::ffff:128.0.0.0", Public))),
            ("::ffff:10.0.0.0", "::ffff:10.255.255.255", Network, Some(("::ffff:9.9.9.9", Public)), None),
            ("::127.0.0.1", "::127.0.0.1", Machine, Some(("::8.8.8.8", Public)), None),
            ("::ffff:0:127.0.0.1", "::ffff:0:127.0.0.1", Machine, Some(("::ffff:0:8.8.8.8", Public)), None),
            ("64:ff9b::127.0.0.1", "64:ff9b::127.0.0.1", Machine, Some(("64:ff9b::8.8.8.8", Public)), None),
            ("64:ff9b::169.254.169.254", "64:ff9b::169.254.169.254", Special, None, None),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Network, None, Some(("64:ff9b:2::", Special))),
            ("100::", "100::ffff:ffff:ffff:ffff", Special, None, None),
            ("2001:0:7f00:1::", "2001:0:7f00:1::", Machine, Some(("2001:0:808:808:0:0:f7f7:f7f7", Public)), None),
            // The client 10.0.0.1 behind the server 8.8.8.8.
            ("2001:0:808:808:0:0:f5ff:fffe", "2001:0:808:808:0:0:f5ff:fffe", Network, None, None),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Special, None, None),
            ("2001:10::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", Special, None, None),
            ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Special, None, Some(("2001:200::", Public))),
            (
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                Special,
                Some(("2001:db7::1", Public)),
                Some(("2001:db9::", Public)),
            ),
            ("2002:7f00:1::", "2002:7f00:1:ffff:ffff:ffff:ffff:ffff", Machine, Some(("2002:808:808::", Public)), None),
            ("2002:c0a8:1::", "2002:c0a8:ffff::", Network, None, Some(("2002:c0a9::", Public))),
            (
                "3fff::",
                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                Special,
                Some(("3ffe::1", Public)),
                Some(("3fff:1000::", Public)),
            ),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special, None, None),
            (
                "fc00::",
                "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                Network,
                Some(("fbff::", Special)),
                Some(("fe00::", Special)),
            ),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special, None, None),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special, None, None),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special, None, None),
            ("2a00:1450::", "2a00:1450::8", Public, None, None),
            ("4000::", "4000::", Special, Some(("3fff:ffff::", Public)), None),
        ] {
            let of = |text: &str| Zone::of(text.parse().expect(text));
            assert_eq!((of(first), of(last)), (zone, zone), "{first} to {last}");
            for (outside, expected) in before.into_iter().chain(after) {
                assert_eq!(of(outside), expected, "{outside} beside {first}");
            }
        }
    }

    #[test]
    fn who_may_lead_where() {
        use Zone::{Machine, Network, Public, Special};
        for (own, admitted) in [
            (Machine, [true, false, true, true]),
            (Special, [false, true, false, true]),
            (Network, [false, false, true, true]),
            (Public, [false, false, false, true]),
        ] {
            assert_eq!([Machine, Special, Network, Public].map(|target| own.may_lead_to(target)), admitted, "{own:?}");
        }
    }

    #[test]
    fn literals_in_every_form_that_resolvers_take() {
        let here = "127.0.0.1";
        for (text, expected) in [
            ("127.0.0.1", Some(here)),
            ("127.0.0.1.", Some(here)),
            ("127.1", Some(here)),
            ("127.0.1", Some(here)),
            ("2130706433", Some(here)),
            ("0x7f000001", Some(here)),
            ("0X7F.1", Some(here)),
            ("017700000001", Some(here)),
            ("0177.0.0.01", Some(here)),
            ("0", Some("0.0.0.0")),
            ("0x", Some("0.0.0.0")),
            ("10.65535", Some("10.0.255.255")),
            ("169.254.43518", Some("169.254.169.254")),
            ("4294967295", Some("255.255.255.255")),
            ("[::1]", Some("::1")),
            ("::1", Some("::1")),
            ("[::ffff:127.0.0.1]", Some("::ffff:127.0.0.1")),
            ("4294967296", None),
            ("127.16777216", None),
            ("256.1", None),
            ("1.2.3.4.5", None),
            ("1.2.3.256", None),
            ("08.1", None),
            ("127..1", None),
            (".1", None),
            ("", None),
            ("+1.2", None),
            ("0x+1", None),
            ("a.example", None),
            ("1.example", None),
            ("[127.1]x", None),
        ] {
            assert_eq!(literal(text), expected.map(|text| text.parse().expect("an address")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,40}", numbers in "[0-9x.]{0,24}") {
            let _ = (literal(&text), literal(&numbers));
        }

        #[test]
        fn whatever_embeds_an_address_of_this_machine_is_this_machine(low in any::<[u8; 3]>()) {
            let v4 = Ipv4Addr::new(127, low[0], low[1], low[2]);
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for address in [
                v4.to_ipv6_mapped(),
                v4.to_ipv6_compatible(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 9, 9, 9, 9, 9),
                Ipv6Addr::new(0x2001, 0, high, low, 9, 9, 0xf7f7, 0xf7f7),
                Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 9, 9, !high, !low),
            ] {
                prop_assert_eq!(Zone::of(address.into()), Zone::Machine, "{}", address);
            }
        }
    }
}
