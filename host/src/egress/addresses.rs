//! Which addresses a CRM may live at. A name that an attacker controls must not lead the host,
//! which sits inside the operator's network, to that network's own services.
//!
//! ```
//! use reverse_sync::egress::addresses::Reach;
//!
//! assert!(Reach::Public.allows("104.16.0.1".parse().unwrap()));
//! assert!(!Reach::Public.allows("10.0.0.1".parse().unwrap()));
//! assert!(!Reach::PrivateToo.allows("169.254.169.254".parse().unwrap()));
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a source's base URL allows its name to resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only addresses of the public internet.
    Public,
    /// Also private networks (the operator said so for this source), still no link-local or
    /// metadata addresses.
    PrivateToo,
    /// Only this machine.
    Loopback,
}

impl Reach {
    /// Whether an address is within reach.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = unmapped(address);
        if is_metadata(address) {
            return false;
        }
        match self {
            Reach::Loopback => address.is_loopback(),
            Reach::Public => is_public(address),
            Reach::PrivateToo => is_public(address) || is_private(address),
        }
    }
}

/// An IPv6 address that only wraps an IPv4 one is judged as that.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.segments() {
            // ::ffff:a.b.c.d, 64:ff9b::a.b.c.d (NAT64) and ::a.b.c.d (deprecated, but still routed
            // by some stacks)
            [0, 0, 0, 0, 0, 0xffff, hi, lo] | [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => v4(hi, lo),
            [0, 0, 0, 0, 0, 0, hi, lo] if (hi, lo) != (0, 0) && (hi, lo) != (0, 1) => v4(hi, lo),
            // 2002:aabb:ccdd:: (6to4)
            [0x2002, hi, lo, ..] => v4(hi, lo),
            _ => address,
        },
        IpAddr::V4(_) => address,
    }
}

fn v4(hi: u16, lo: u16) -> IpAddr {
    let ([a, b], [c, d]) = (hi.to_be_bytes(), lo.to_be_bytes());
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// Services of clouds that hand out credentials to whoever asks from within, at addresses that are
/// private or public otherwise: Alibaba, Azure, AWS, GCP. All others are link-local.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => [[100, 100, 100, 200], [168, 63, 129, 16]].contains(&v4.octets()),
        IpAddr::V6(v6) => {
            [[0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]]
                .contains(&v6.segments())
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            // IANA IPv4 special-purpose registry: everything that is not globally reachable.
            !(a == 0
                || a == 10
                || a == 127
                || a >= 224
                || (a == 100 && b & 0xc0 == 64)
                || (a == 169 && b == 254)
                || (a == 172 && b & 0xf0 == 16)
                || (a == 192 && b == 168)
                || (a == 192 && b == 0 && (c == 0 || c == 2))
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && b & 0xfe == 18)
                || (a == 198 && b == 51 && c == 100)
                || (a == 203 && b == 0 && c == 113))
        }
        // 2000::/3 is all that is handed out, less documentation, benchmarking, Teredo and ORCHID.
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            a & 0xe000 == 0x2000
                && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
                && !(a == 0x3fff && b < 0x1000)
                && v6 != Ipv6Addr::UNSPECIFIED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_within_reach() {
        let refused = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
        ];
        for text in refused {
            assert!(!Reach::Public.allows(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "104.16.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(Reach::Public.allows(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_operator_can_open_private_networks_but_never_the_metadata_service() {
        for text in ["10.1.2.3", "192.168.1.1", "fd12::1", "1.1.1.1"] {
            assert!(Reach::PrivateToo.allows(text.parse().unwrap()), "{text}");
        }
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "127.0.0.1",
            "::1",
            "fe80::1",
            "0.0.0.0",
        ] {
            assert!(!Reach::PrivateToo.allows(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        assert!(Reach::Loopback.allows("127.0.0.1".parse().unwrap()));
        assert!(Reach::Loopback.allows("::1".parse().unwrap()));
        assert!(!Reach::Loopback.allows("192.168.1.1".parse().unwrap()));
    }
}
