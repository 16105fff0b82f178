//! The hosts of a miniature web: their names, their sizes and what they allow.

use super::MiniWeb;
use super::draw::{Draw, stratum};
use super::truth::Fate;

/// The domain that all hosts share. `.test` never exists outside (RFC 6761); a client resolves it to loopback.
pub const DOMAIN: &str = "miniweb.test";

/// How a host treats those who come for its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Policy {
    /// Everything is allowed. robots.txt is missing, empty, or about other paths.
    Plain,
    /// Everything is allowed, and every answer waits for `MiniWebConfig::slow_delay`.
    Slow,
    /// robots.txt disallows everything.
    RobotsAll,
    /// robots.txt disallows `/private/`.
    RobotsPrivate,
    /// robots.txt answers with status 500, which RFC 9309 reads as "everything is disallowed".
    RobotsBroken,
    /// robots.txt allows everything, with `Content-Signal: ai-train=no`.
    ContentSignal,
    /// Images carry `X-Robots-Tag: noai, noimageai`.
    NoAiHeader,
    /// `/.well-known/tdmrep.json` reserves all paths.
    TdmFile,
    /// Images carry `tdm-reservation: 1`.
    TdmHeader,
    /// Images carry `Content-Usage: train-ai=n`.
    ContentUsage,
    /// Nothing is ever answered.
    Stalling,
}

impl Policy {
    /// The policies of hosts that refuse, in the order in which a web walks through them.
    pub const REFUSING: [Self; 8] = [
        Self::RobotsAll,
        Self::NoAiHeader,
        Self::RobotsPrivate,
        Self::TdmFile,
        Self::RobotsBroken,
        Self::ContentSignal,
        Self::TdmHeader,
        Self::ContentUsage,
    ];

    /// What becomes of a request for an image at `path`; none where nothing stands in the way.
    pub(crate) fn refuses(self, path: &str) -> Option<Fate> {
        match self {
            Self::Plain | Self::Slow => None,
            Self::RobotsPrivate => path.starts_with("/private/").then_some(Fate::RefusedRobots),
            Self::RobotsAll | Self::RobotsBroken => Some(Fate::RefusedRobots),
            Self::ContentSignal => Some(Fate::RefusedSignal),
            Self::TdmFile => Some(Fate::RefusedTdm),
            Self::NoAiHeader | Self::TdmHeader | Self::ContentUsage => Some(Fate::RefusedHeader),
            Self::Stalling => Some(Fate::Timeout),
        }
    }

    /// The header that images of such a host carry.
    pub(crate) fn header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NoAiHeader => Some(("X-Robots-Tag", "noai, noimageai")),
            Self::TdmHeader => Some(("tdm-reservation", "1")),
            Self::ContentUsage => Some(("Content-Usage", "train-ai=n")),
            _ => None,
        }
    }

    /// Status and body of robots.txt.
    pub(crate) fn robots(self, host: u64) -> (u16, &'static str) {
        match self {
            Self::RobotsAll => (200, "User-agent: *\nDisallow: /\n"),
            Self::RobotsPrivate => (200, "User-agent: *\nDisallow: /private/\nAllow: /\n"),
            Self::RobotsBroken => (500, "out of order\n"),
            Self::ContentSignal => (200, "User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n"),
            _ => match host % 3 {
                0 => (404, "not found\n"),
                1 => (200, "User-agent: *\nDisallow: /admin/\n"),
                _ => (200, ""),
            },
        }
    }
}

/// One host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Host {
    /// Its number, from 0; small numbers have many pages.
    pub index: u64,
    /// What it allows.
    pub policy: Policy,
}

impl Host {
    /// The name, `h007.miniweb.test`.
    pub fn name(&self) -> String {
        format!("h{:03}.{DOMAIN}", self.index)
    }
}

impl MiniWeb {
    /// The host number `index`. The last one is the stalling host of a web that has hostile endpoints.
    pub fn host(&self, index: u64) -> Host {
        let config = &self.config;
        let policy = if index == 0 {
            Policy::Plain
        } else if index + 1 == self.hosts() && config.hostile > 0.0 {
            Policy::Stalling
        } else if let Some(block) = stratum(config.seed, "refusing hosts", config.refusing, index) {
            Policy::REFUSING[(block % Policy::REFUSING.len() as u64) as usize]
        } else if stratum(config.seed, "slow hosts", config.slow, index).is_some() {
            Policy::Slow
        } else {
            Policy::Plain
        };
        Host { index, policy }
    }

    /// The number of the host of that name; a port behind the name and the case of its letters are ignored.
    pub fn host_index(&self, name: &str) -> Option<u64> {
        let name = name.rsplit_once(':').map_or(name, |(name, _)| name).to_ascii_lowercase();
        let digits = name.strip_suffix(DOMAIN)?.strip_suffix('.')?.strip_prefix('h')?;
        let index: u64 = digits.parse().ok()?;
        (index < self.hosts() && digits.len() == format!("{index:03}").len()).then_some(index)
    }

    /// A host drawn with weight `1 / rank`, the law of Zipf: `h^u` for uniform `u` has a density of `1 / x`.
    /// Found by halving, without `powf`, whose last bit differs between machines.
    pub(crate) fn zipf_host(&self, draw: &mut Draw) -> u64 {
        // The stalling host has no pages of its own: a crawl would never have seen them.
        let hosts = self.hosts() - 1;
        let harmonic = |k: u64| {
            // The first ranks are summed, the others are an integral, by steps that need no logarithm.
            let mut sum = 0.0;
            let mut rank = 1;
            let mut step = 1;
            while rank <= k {
                let end = (rank + step - 1).min(k);
                let middle = (rank + end) as f64 / 2.0;
                sum += (end - rank + 1) as f64 / middle;
                rank = end + 1;
                step = 1 + rank / 8;
            }
            sum
        };
        let wanted = draw.unit() * harmonic(hosts);
        let (mut low, mut high) = (0, hosts - 1);
        while low < high {
            let middle = (low + high) / 2;
            if harmonic(middle + 1) > wanted {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::super::MiniWebConfig;
    use super::*;

    #[test]
    fn the_largest_host_has_twice_the_pages_of_the_second() {
        let web = MiniWeb::new(MiniWebConfig { pages: 4_000, ..MiniWebConfig::default() });
        let mut pages = vec![0u32; web.hosts() as usize];
        (0..20_000).for_each(|n| pages[web.zipf_host(&mut Draw::new(0, "test", n)) as usize] += 1);
        let ratio = f64::from(pages[0]) / f64::from(pages[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        assert_eq!(pages.last(), Some(&0));
        let tail = f64::from(pages[0]) * 100.0 / f64::from(pages[80..120].iter().sum::<u32>()) * 40.0 / 100.0;
        assert!((70.0..140.0).contains(&tail), "{tail}");
    }

    #[test]
    fn a_refusing_web_has_hosts_of_every_policy() {
        let web = MiniWeb::new(MiniWebConfig { refusing: 0.4, slow: 0.1, hostile: 0.1, ..MiniWebConfig::default() });
        let hosts: Vec<Policy> = (0..web.hosts()).map(|index| web.host(index).policy).collect();
        for policy in Policy::REFUSING.into_iter().chain([Policy::Slow, Policy::Stalling, Policy::Plain]) {
            assert!(hosts.contains(&policy), "{policy:?}");
        }
    }

    #[test]
    fn a_host_is_found_by_its_name_alone() {
        let web = MiniWeb::new(MiniWebConfig::default());
        assert_eq!(web.host_index("h003.miniweb.test:8080"), Some(3));
        assert_eq!(web.host_index("H003.MINIWEB.TEST"), Some(3));
        for other in ["h3.miniweb.test", "h999999.miniweb.test", "miniweb.test", "h003.example.test", "127.0.0.1:80"] {
            assert_eq!(web.host_index(other), None, "{other}");
        }
    }
}
