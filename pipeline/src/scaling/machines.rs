//! The machines of a plan, and how they are written.
//!
//! ```text
//! fetch=100x16c/10gbps/0.68,score=8x8H100/96c/30.0,all=20x64c
//! ```
//!
//! Groups are separated by commas. A group is `ROLE=COUNTxPARTS`, or `ROLE+ROLE=…` where several stages share the machines. A
//! role is the name of a kind of stage, or `all` for every stage that no other group names. Parts are separated by slashes:
//!
//! | part | of each machine |
//! |---|---|
//! | `16c` | cores |
//! | `64gib` | memory; a plan warns where a stage needs more |
//! | `10gbps` | network, each way; an assumption of the plan by default |
//! | `H100`, `8H100` | graphics cards of a kind that is known here |
//! | `8XYZ@500tflops` | graphics cards of any kind, with their dense 16-bit rate |
//! | `0.68` | price of an hour, in any currency |

use serde::Serialize;

use super::error::PlanError;

/// What machines can be for: a kind of stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reading archives, url lists or shards.
    Extract,
    /// Finding languages.
    Language,
    /// Predicates over single rows.
    Keep,
    /// Exact duplicates.
    Dedupe,
    /// Downloading and picture work.
    Fetch,
    /// Models.
    Score,
    /// Hashing pictures.
    Hash,
    /// Near-copies.
    Near,
    /// Thresholds, caps and lists over all rows.
    Select,
    /// Draws over all rows.
    Balance,
    /// Writing the final shards.
    Reshard,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 11] = [
        Self::Extract,
        Self::Language,
        Self::Keep,
        Self::Dedupe,
        Self::Fetch,
        Self::Score,
        Self::Hash,
        Self::Near,
        Self::Select,
        Self::Balance,
        Self::Reshard,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Language => "language",
            Self::Keep => "keep",
            Self::Dedupe => "dedupe",
            Self::Fetch => "fetch",
            Self::Score => "score",
            Self::Hash => "hash",
            Self::Near => "near",
            Self::Select => "select",
            Self::Balance => "balance",
            Self::Reshard => "reshard",
        }
    }
}

/// Graphics cards of a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpus {
    /// How many.
    pub count: u32,
    /// Their name.
    pub name: String,
    /// Dense 16-bit operations a second of one, in FLOP/s, by the vendor's data sheet.
    pub flops: f64,
}

/// Dense bf16 or fp16 rates by the vendor's data sheets, in TFLOP/s, without sparsity.
const CARDS: [(&str, f64); 8] =
    [("H100", 989.0), ("H200", 989.0), ("A100", 312.0), ("L40S", 362.0), ("L4", 121.0), ("A10", 125.0), ("V100", 125.0), ("T4", 65.0)];

/// Machines of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// As it was written.
    pub text: String,
    /// How many machines.
    pub count: u32,
    /// Cores of one.
    pub cores: u32,
    /// Memory of one in bytes, if given.
    pub memory_bytes: Option<f64>,
    /// Network of one, each way, in bit/s, if given.
    pub network_bps: Option<f64>,
    /// Graphics cards of one.
    pub gpus: Option<Gpus>,
    /// Price of one for an hour, if given.
    pub price: Option<f64>,
}

/// All machines of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machines {
    groups: Vec<Group>,
    roles: Vec<(Option<Role>, usize)>,
}

impl Machines {
    /// Reads the list.
    ///
    /// # Errors
    /// [`PlanError::Machines`] with the place of the first mistake.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let mut machines = Self { groups: Vec::new(), roles: Vec::new() };
        let mut at = 0;
        for group in text.split(',') {
            machines.group(&Place { text, at }, group)?;
            at += group.len() + 1;
        }
        Ok(machines)
    }

    fn group(&mut self, place: &Place<'_>, text: &str) -> Result<(), PlanError> {
        let Some((roles, spec)) = text.split_once('=') else {
            return Err(place.fail(0, "`ROLE=COUNTxPARTS` expected, as `fetch=100x16c`"));
        };
        let index = self.groups.len();
        let mut at = 0;
        for role in roles.split('+') {
            let indent = role.len() - role.trim_start().len();
            let name = role.trim();
            let role_of = match name {
                "all" => None,
                name => match Role::ALL.into_iter().find(|role| role.name() == name) {
                    Some(role) => Some(role),
                    None => return Err(place.fail(at + indent, &unknown_role(name))),
                },
            };
            if self.roles.iter().any(|(known, _)| *known == role_of) {
                return Err(place.fail(at + indent, &format!("`{name}` has machines already")));
            }
            self.roles.push((role_of, index));
            at += role.len() + 1;
        }
        let group = parse_group(place, roles.len() + 1, spec)?;
        self.groups.push(Group { text: text.trim().to_owned(), ..group });
        Ok(())
    }

    /// The groups, in the order in which they were written.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Number of the group of a role.
    pub fn index_of(&self, role: Role) -> Option<usize> {
        let find = |wanted: Option<Role>| self.roles.iter().find(|(role, _)| *role == wanted).map(|(_, index)| *index);
        find(Some(role)).or_else(|| find(None))
    }
}

struct Place<'a> {
    text: &'a str,
    at: usize,
}

impl Place<'_> {
    fn fail(&self, offset: usize, problem: &str) -> PlanError {
        // Offsets are of bytes; what is shown counts characters.
        let end = (self.at + offset).min(self.text.len());
        let at = self.text.char_indices().take_while(|(at, _)| *at < end).count() + 1;
        PlanError::Machines { text: self.text.to_owned(), at, problem: problem.to_owned() }
    }
}

fn unknown_role(name: &str) -> String {
    let names = || Role::ALL.into_iter().map(Role::name).chain(["all"]);
    let near = names().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    match near.filter(|near| strsim::damerau_levenshtein(near, name) <= 2) {
        Some(near) => format!("unknown stage `{name}`; did you mean `{near}`?"),
        None => format!("unknown stage `{name}`: one of {}", names().collect::<Vec<_>>().join(", ")),
    }
}

fn parse_group(place: &Place<'_>, at: usize, spec: &str) -> Result<Group, PlanError> {
    let Some((count_text, parts)) = spec.split_once('x') else {
        return Err(place.fail(at, "the number of machines and `x` expected, as `100x16c`"));
    };
    let count: u32 = count_text
        .trim()
        .parse()
        .ok()
        .filter(|count| (1..=10_000_000).contains(count))
        .ok_or_else(|| place.fail(at, &format!("`{}` is no number of machines: 1 to 10,000,000", count_text.trim())))?;
    let mut group = Group { text: String::new(), count, cores: 0, memory_bytes: None, network_bps: None, gpus: None, price: None };
    let mut offset = at + count_text.len() + 1;
    for part in parts.split('/') {
        let value = part.trim();
        let twice = |what: &str| place.fail(offset, &format!("{what} is given twice"));
        let number = |suffix: &str| value.strip_suffix(suffix).and_then(|n| n.parse::<f64>().ok()).filter(|n| n.is_finite() && *n > 0.0);
        if let Some(gib) = number("gib") {
            replace(&mut group.memory_bytes, gib * f64::from(1 << 30)).map_err(|()| twice("memory"))?;
        } else if let Some(gbps) = number("gbps") {
            replace(&mut group.network_bps, gbps * 1e9).map_err(|()| twice("the network"))?;
        } else if let Some(cores) = value.strip_suffix('c').and_then(|n| n.parse::<u32>().ok()) {
            if group.cores > 0 {
                return Err(twice("the number of cores"));
            }
            if !(1..=65_536).contains(&cores) {
                return Err(place.fail(offset, "1 to 65,536 cores"));
            }
            group.cores = cores;
        } else if value.parse::<f64>().is_ok_and(|price| price.is_finite() && price >= 0.0) {
            let price = value.parse().unwrap_or(0.0);
            replace(&mut group.price, price).map_err(|()| twice("the price"))?;
        } else if let Some(gpus) = parse_gpus(value).map_err(|problem| place.fail(offset, &problem))? {
            replace(&mut group.gpus, gpus).map_err(|()| twice("the kind of graphics card"))?;
        } else {
            let known = "`16c`, `64gib`, `10gbps`, `H100` or a price expected";
            return Err(place.fail(offset, &format!("`{value}` is no part of a machine: {known}")));
        }
        offset += part.len() + 1;
    }
    if group.cores == 0 && group.gpus.is_none() {
        return Err(place.fail(at, "a machine has cores or graphics cards, as `16c` or `8H100`"));
    }
    Ok(group)
}

fn replace<T>(slot: &mut Option<T>, value: T) -> Result<(), ()> {
    if slot.replace(value).is_some() { Err(()) } else { Ok(()) }
}

/// `8H100` or `8NAME@500tflops`; `None` for what is no name of a card.
fn parse_gpus(text: &str) -> Result<Option<Gpus>, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, name) = text.split_at(digits);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(None);
    }
    let count: u32 = if number.is_empty() { 1 } else { number.parse().unwrap_or(0) };
    if !(1..=1024).contains(&count) {
        return Err("1 to 1,024 graphics cards in a machine".to_owned());
    }
    if let Some((name, rate)) = name.split_once('@') {
        let tflops = rate.strip_suffix("tflops").and_then(|n| n.parse::<f64>().ok()).filter(|n| n.is_finite() && *n > 0.0);
        let tflops = tflops.ok_or_else(|| format!("`{rate}` is no rate of a card: `500tflops`"))?;
        return Ok(Some(Gpus { count, name: name.to_owned(), flops: tflops * 1e12 }));
    }
    let known = CARDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    match known {
        Some(&(known, tflops)) => Ok(Some(Gpus { count, name: known.to_owned(), flops: tflops * 1e12 })),
        None if name.bytes().any(|b| b.is_ascii_digit()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            let names: Vec<&str> = CARDS.iter().map(|(name, _)| *name).collect();
            Err(format!("`{name}` is not known here ({}): give its rate, as `{name}@500tflops`", names.join(", ")))
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(text: &str, at: usize, says: &str) {
        match Machines::parse(text) {
            Err(PlanError::Machines { at: found, problem, .. }) => {
                assert_eq!(found, at, "{text}: {problem}");
                assert!(problem.contains(says), "{text}: {problem}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn groups_are_read_with_all_their_parts() {
        let machines = Machines::parse("fetch=100x16c/10gbps/0.68, score+hash=8x8h100/96c/2048gib/30,all=2x64c").unwrap();
        let fetch = &machines.groups()[machines.index_of(Role::Fetch).unwrap()];
        assert_eq!((fetch.count, fetch.cores, fetch.network_bps, fetch.price), (100, 16, Some(10e9), Some(0.68)));
        assert_eq!(machines.index_of(Role::Score), machines.index_of(Role::Hash));
        let score = &machines.groups()[1];
        assert_eq!(score.gpus.as_ref().map(|gpus| (gpus.count, gpus.flops)), Some((8, 989e12)));
        assert_eq!(score.memory_bytes, Some(2048.0 * 1024.0 * 1024.0 * 1024.0));
        assert_eq!(machines.index_of(Role::Dedupe), Some(2));
    }

    #[test]
    fn one_card_without_a_number_and_cards_of_any_name() {
        let machines = Machines::parse("score=8xH100,all=1x2B300@2500tflops").unwrap();
        assert_eq!(machines.groups()[0].gpus.as_ref().map(|gpus| gpus.count), Some(1));
        let other = machines.groups()[1].gpus.as_ref().unwrap();
        assert_eq!((other.count, other.name.as_str(), other.flops), (2, "B300", 2500e12));
    }

    #[test]
    fn stages_without_machines_have_none() {
        assert_eq!(Machines::parse("fetch=1x1c").unwrap().index_of(Role::Dedupe), None);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        fails("", 1, "expected");
        fails("fetch", 1, "expected");
        fails("fetch=", 7, "number of machines");
        fails("fetch=0x16c", 7, "number of machines");
        fails("fetch=10x", 10, "no part");
        fails("fetch=10x16c/10gb", 14, "no part");
        fails("all=1x2c,fecth=1x1c", 10, "did you mean `fetch`");
        fails("all=1x2c,quux=1x1c", 10, "one of extract");
        fails("fetch=1x2c,fetch=1x1c", 12, "already");
        fails("fetch=1x2c/2c", 12, "twice");
        fails("fetch=1x2c/X9000", 12, "X9000@500tflops");
        fails("fetch=1x2c/2H100@fast", 12, "no rate of a card");
        fails("fetch=1x10gbps", 7, "cores or graphics");
        fails("fétch=1x1c,x=1x1c", 1, "did you mean");
        fails("all=1x1c,é", 10, "expected");
    }
}
