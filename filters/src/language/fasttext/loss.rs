//! From the hidden vector to the best label (fastText's `loss.cc`).

use super::matrix::Matrix;

/// Buckets of fastText's sigmoid table.
const SIGMOID_TABLE: usize = 512;
/// Beyond this the table says 0 or 1.
const SIGMOID_MAX: f32 = 8.0;

/// How scores of labels become probabilities.
#[derive(Debug)]
pub(super) enum Loss {
    /// The labels are the leaves of a Huffman tree (`-loss hs`).
    Tree(Tree),
    /// One probability per label, on its own (`-loss ns` and `-loss ova`).
    Sigmoid { labels: usize, table: Vec<f32> },
    /// Probabilities that add up to one (`-loss softmax`).
    Softmax { labels: usize },
}

/// The Huffman tree over the label counts.
#[derive(Debug)]
pub(super) struct Tree {
    leaves: usize,
    /// Left and right child of each inner node, the first inner node having the number `leaves`.
    children: Vec<[usize; 2]>,
}

impl Loss {
    /// The loss of fastText's number `code`; nothing where the number is unknown or there are no labels.
    pub(super) fn new(code: i32, counts: &[i64]) -> Option<Self> {
        let labels = counts.len();
        if labels == 0 {
            return None;
        }
        match code {
            1 => Some(Self::Tree(Tree::new(counts))),
            2 | 4 => {
                let step = 2.0 * SIGMOID_MAX / SIGMOID_TABLE as f32;
                let table = (0..=SIGMOID_TABLE).map(|i| sigmoid(i as f32 * step - SIGMOID_MAX)).collect();
                Some(Self::Sigmoid { labels, table })
            }
            3 => Some(Self::Softmax { labels }),
            _ => None,
        }
    }

    /// The best label and its probability, plus 1e-5 as in fastText; `scratch` is overwritten.
    pub(super) fn best(&self, output: &Matrix, hidden: &[f32], scratch: &mut Vec<f32>) -> Option<(usize, f32)> {
        let best = match self {
            Self::Tree(tree) => tree.best(output, hidden),
            Self::Sigmoid { labels, table } => {
                scratch.clear();
                scratch.extend((0..*labels).map(|i| looked_up(table, output.dot_row(i, hidden))));
                argmax(scratch).map(|(label, p)| (label, log(p)))
            }
            Self::Softmax { labels } => {
                scratch.clear();
                scratch.extend((0..*labels).map(|i| output.dot_row(i, hidden)));
                let max = scratch.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f32 = scratch.iter().map(|x| f64::from(x - max).exp() as f32).sum();
                argmax(scratch).map(|(label, x)| (label, log(f64::from(x - max).exp() as f32 / sum)))
            }
        };
        best.map(|(label, log_p)| (label, log_p.exp()))
    }
}

impl Tree {
    fn new(counts: &[i64]) -> Self {
        // The counts come sorted in descending order, so the two smallest of the leaves and of the inner nodes are
        // found with two indices. Ties are broken as in `HierarchicalSoftmaxLoss::buildTree`: they decide which
        // row of the matrix belongs to which node.
        let leaves = counts.len();
        let mut count: Vec<i64> = counts.to_vec();
        count.resize(2 * leaves - 1, 1_000_000_000_000_000);
        let mut children = Vec::with_capacity(leaves - 1);
        let mut leaf = leaves;
        let mut node = leaves;
        for parent in leaves..2 * leaves - 1 {
            let mut pick = || {
                if leaf > 0 && (node >= parent || count[leaf - 1] < count[node]) {
                    leaf -= 1;
                    leaf
                } else {
                    node += 1;
                    node - 1
                }
            };
            let pair = [pick(), pick()];
            count[parent] = count[pair[0]].saturating_add(count[pair[1]]);
            children.push(pair);
        }
        Self { leaves, children }
    }

    /// The leaf with the highest log probability; branches that cannot reach the best one so far are left out.
    fn best(&self, output: &Matrix, hidden: &[f32]) -> Option<(usize, f32)> {
        let mut best: Option<(usize, f32)> = None;
        let mut todo = Vec::with_capacity(64);
        todo.push((2 * self.leaves - 2, 0.0f32));
        while let Some((node, score)) = todo.pop() {
            if best.is_some_and(|(_, top)| score < top) {
                continue;
            }
            if node < self.leaves {
                best = Some((node, score));
                continue;
            }
            let inner = node - self.leaves;
            let right = sigmoid(output.dot_row(inner, hidden));
            let [l, r] = self.children[inner];
            let left = (1.0 - f64::from(right)) as f32;
            // The likelier branch last, so that it is walked first and more is left out.
            let mut steps = [(l, score + log(left)), (r, score + log(right))];
            if steps[0].1 > steps[1].1 {
                steps.swap(0, 1);
            }
            todo.extend(steps);
        }
        best
    }
}

/// The last of the greatest values: fastText's heap of one lets a later equal label replace an earlier one.
fn argmax(values: &[f32]) -> Option<(usize, f32)> {
    values.iter().copied().enumerate().reduce(|best, next| if next.1 >= best.1 { next } else { best })
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn looked_up(table: &[f32], x: f32) -> f32 {
    if x < -SIGMOID_MAX {
        0.0
    } else if x > SIGMOID_MAX {
        1.0
    } else {
        let i = ((x + SIGMOID_MAX) * SIGMOID_TABLE as f32 / SIGMOID_MAX / 2.0) as usize;
        table.get(i).copied().unwrap_or(0.0)
    }
}

/// fastText's `std_log`.
fn log(p: f32) -> f32 {
    (f64::from(p) + 1e-5).ln() as f32
}
