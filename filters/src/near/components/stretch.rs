//! Groups whose ends are not alike.

use super::edges::{Edge, SortedEdges};
use super::groups::Groups;
use super::set::{ComponentsError, DisjointSet, Row};

/// What counts as stretched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StretchOptions {
    /// Two members further apart than this are not alike.
    pub limit: f32,
    /// Groups of up to so many members have all pairs of ends compared. In larger ones the ends are the member furthest from the
    /// group's first and the member furthest from that one, whose distance is at least half the diameter where distances obey the triangle inequality.
    pub all_pairs: usize,
    /// Groups of up to so many members have their bridge sought among all pairs by [`stretched`]; larger ones are reported without.
    pub bridge_members: usize,
}

impl StretchOptions {
    /// All pairs of ends up to 64 members, bridges up to 4 096.
    pub fn new(limit: f32) -> Self {
        Self { limit, all_pairs: 64, bridge_members: 4096 }
    }
}

/// The link that holds unlike members together: `a` is alike the first end of the group, `b` no longer is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bridge<R: Row = u32> {
    /// On the side of the first end.
    pub a: R,
    /// On the side of the second end.
    pub b: R,
    /// Their distance.
    pub distance: f32,
}

/// A group whose ends are further apart than the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch<R: Row = u32> {
    /// The group: its smallest row.
    pub group: R,
    /// Its members.
    pub members: usize,
    /// The ends, smaller row first.
    pub ends: (R, R),
    /// How far apart they are.
    pub distance: f32,
    /// Where the way between the ends leaves what is alike the first: on the way whose longest link is shortest.
    pub bridge: Option<Bridge<R>>,
}

/// The stretched groups, with bridges sought among all pairs of their members. The result depends on the groups and distances alone.
pub fn stretched<R: Row>(groups: &Groups<R>, options: &StretchOptions, distance: impl Fn(R, R) -> f32) -> Vec<Stretch<R>> {
    let found = groups.iter().filter_map(|members| {
        let (ends, apart) = ends(members, options.all_pairs, &distance);
        if apart <= options.limit {
            return None;
        }
        let tree = (members.len() <= options.bridge_members).then(|| prim(members, ends.0, &distance));
        let bridge = tree.and_then(|tree| bridge(members, &tree, ends, options.limit, &distance));
        Some(Stretch { group: members[0], members: members.len(), ends, distance: apart, bridge })
    });
    found.collect()
}

/// The stretched groups, with bridges sought among the edges that were logged, whatever the size of the group.
///
/// Where pairs were skipped because their rows were connected already, which edges there are depends on the order in which they were found, and the
/// bridge with it; the groups, their ends and distances do not.
///
/// # Errors
/// [`ComponentsError::Io`] if the edges cannot be read.
pub fn stretched_by_edges<R: Row>(
    groups: &Groups<R>,
    edges: SortedEdges<R>,
    options: &StretchOptions,
    distance: impl Fn(R, R) -> f32,
) -> Result<Vec<Stretch<R>>, ComponentsError> {
    let mut found = Vec::new();
    let mut edges = edges.peekable();
    let mut mine = Vec::new();
    for members in groups.iter() {
        mine.clear();
        while let Some(next) = edges.next_if(|next| next.as_ref().map_or(true, |(group, _)| *group <= members[0])) {
            let (group, edge) = next?;
            if group == members[0] {
                mine.push(edge);
            }
        }
        let (ends, apart) = ends(members, options.all_pairs, &distance);
        if apart > options.limit {
            let tree = kruskal(members, &mine, ends.0)?;
            let bridge = bridge(members, &tree, ends, options.limit, &distance);
            found.push(Stretch { group: members[0], members: members.len(), ends, distance: apart, bridge });
        }
    }
    Ok(found)
}

/// The two members that are furthest apart, as far as the options look; ties go to the smaller rows.
fn ends<R: Row>(members: &[R], all_pairs: usize, distance: &impl Fn(R, R) -> f32) -> ((R, R), f32) {
    let furthest = |from: R, among: &[R]| {
        let mut best = (from, f32::NEG_INFINITY);
        for to in among.iter().filter(|to| **to != from) {
            let apart = distance(from, *to);
            if apart > best.1 {
                best = (*to, apart);
            }
        }
        best
    };
    let (a, (b, apart)) = if members.len() <= all_pairs {
        let mut best = (members[0], (members[0], f32::NEG_INFINITY));
        for (at, from) in members.iter().enumerate() {
            let (to, apart) = furthest(*from, &members[at + 1..]);
            if apart > best.1.1 {
                best = (*from, (to, apart));
            }
        }
        best
    } else {
        let (first, _) = furthest(members[0], members);
        (first, furthest(first, members))
    };
    ((a.min(b), a.max(b)), apart)
}

/// For each member the member before it on the way from `root`, and the length of that link.
type Tree = Vec<Option<(usize, f32)>>;

/// The minimum spanning tree of all pairs (Prim 1957): on its paths the longest link is as short as it can be.
fn prim<R: Row>(members: &[R], root: R, distance: &impl Fn(R, R) -> f32) -> Tree {
    let mut tree: Tree = vec![None; members.len()];
    let mut left: Vec<usize> = (0..members.len()).filter(|at| members[*at] != root).collect();
    let mut last = members.iter().position(|member| *member == root).unwrap_or(0);
    while !left.is_empty() {
        let (mut next, mut shortest) = (0, f32::INFINITY);
        for (place, at) in left.iter().enumerate() {
            let apart = distance(members[last], members[*at]);
            if tree[*at].is_none_or(|(_, so_far)| apart < so_far) {
                tree[*at] = Some((last, apart));
            }
            let so_far = tree[*at].map_or(f32::INFINITY, |(_, so_far)| so_far);
            if so_far < shortest || (so_far == shortest && members[*at] < members[left[next]]) {
                (next, shortest) = (place, so_far);
            }
        }
        last = left.swap_remove(next);
    }
    tree
}

/// The minimum spanning forest of the edges, which are sorted (Kruskal 1956), rooted.
fn kruskal<R: Row>(members: &[R], edges: &[Edge<R>], root: R) -> Result<Tree, ComponentsError> {
    let place = |row: R| members.binary_search(&row).ok();
    let joined = DisjointSet::<u64>::new(members.len())?;
    let mut links = vec![Vec::new(); members.len()];
    for edge in edges {
        if let (Some(a), Some(b)) = (place(edge.a), place(edge.b))
            && joined.union(a as u64, b as u64)
        {
            links[a].push((b, edge.distance));
            links[b].push((a, edge.distance));
        }
    }
    let mut tree: Tree = vec![None; members.len()];
    let root = place(root).unwrap_or(0);
    let mut queue = vec![root];
    while let Some(at) = queue.pop() {
        for (next, apart) in &links[at] {
            if *next != root && tree[*next].is_none() {
                tree[*next] = Some((at, *apart));
                queue.push(*next);
            }
        }
    }
    Ok(tree)
}

/// The first link on the way from the first end to the second whose far side is not alike the first end.
fn bridge<R: Row>(members: &[R], tree: &Tree, ends: (R, R), limit: f32, distance: &impl Fn(R, R) -> f32) -> Option<Bridge<R>> {
    let mut at = members.binary_search(&ends.1).ok()?;
    let mut found = None;
    while let Some((before, apart)) = tree[at] {
        if distance(ends.0, members[at]) > limit {
            found = Some(Bridge { a: members[before], b: members[at], distance: apart });
        }
        at = before;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::near::components::EdgeLog;

    /// Points on a line: 0 1 2 3 4 in one chain, 100 and 101 in another group.
    fn line() -> (DisjointSet<u32>, Vec<f32>, Vec<(u32, u32)>) {
        let at = vec![0.0, 1.0, 2.0, 3.5, 4.0, 100.0, 101.0];
        let edges = vec![(0, 1), (1, 2), (2, 3), (3, 4), (5, 6)];
        let set = DisjointSet::new(at.len()).unwrap();
        edges.iter().for_each(|(a, b)| _ = set.union(*a, *b));
        (set, at, edges)
    }

    #[test]
    fn a_chain_is_reported_with_its_ends_and_its_bridge() {
        let (set, at, edges) = line();
        let apart = |a: u32, b: u32| (at[a as usize] - at[b as usize]).abs();
        let groups = Groups::of(&set);
        let expected = Stretch { group: 0, members: 5, ends: (0, 4), distance: 4.0, bridge: Some(Bridge { a: 2, b: 3, distance: 1.5 }) };
        for all_pairs in [0, 64] {
            let options = StretchOptions { all_pairs, ..StretchOptions::new(2.0) };
            assert_eq!(stretched(&groups, &options, apart), [expected]);
            let log = EdgeLog::new(1 << 16, None);
            edges.iter().rev().for_each(|(a, b)| log.push(*b, *a, apart(*a, *b)));
            assert_eq!(stretched_by_edges(&groups, log.sorted(&set).unwrap(), &options, apart).unwrap(), [expected]);
        }
        assert!(stretched(&groups, &StretchOptions::new(4.0), apart).is_empty());
        let large = StretchOptions { bridge_members: 4, ..StretchOptions::new(2.0) };
        assert_eq!(stretched(&groups, &large, apart), [Stretch { bridge: None, ..expected }]);
    }
}
