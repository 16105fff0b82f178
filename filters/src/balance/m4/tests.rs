//! Golden cases, the promises, and a corpus with a known bias.

use proptest::prelude::*;

use super::*;
use crate::balance::Draw;

/// The patterns of the golden cases: (s, y) = (1,1), (1,0), (0,1), (0,0).
const GOLDEN: [(u64, usize); 4] = [(0b11, 120), (0b01, 480), (0b10, 20), (0b00, 380)];

fn golden(epsilon_d: f64, epsilon_r: f64, eta: f64, enforcement: f64, cap: f64) -> (M4Fit, [f64; 4]) {
    let options = M4Options {
        epsilon_d: Limit::All(epsilon_d),
        epsilon_r: Limit::All(epsilon_r),
        eta,
        enforcement,
        cap,
        ..M4Options::new(vec![Attribute::new("s", 0.5)], vec!["y".into()])
    };
    let problem = M4Problem::new(options).unwrap();
    let rows: Vec<u64> = GOLDEN.iter().flat_map(|(bits, n)| vec![*bits; *n]).collect();
    let mut counts = PatternCounts::new(&problem);
    counts.add_rows(&rows, None).unwrap();
    let fit = fit(&problem, &counts).unwrap();
    let q = GOLDEN.map(|(bits, _)| fit.weights.weight(u128::from(bits), 1.0).unwrap());
    (fit, q)
}

fn close(have: f64, want: f64, what: &str) {
    assert!((have - want).abs() < 1e-5, "{what}: {have}, not {want}");
}

/// Golden values G1 to G4 were made with an independent solver (plain gradient steps in numpy), G1 by hand as well.
fn check(have: &(M4Fit, [f64; 4]), q: [f64; 4], d: Option<f64>, r: Option<f64>, mu: f64) {
    let (fit, weights) = have;
    for i in 0..4 {
        close(weights[i], q[i], &format!("q of pattern {i}"));
    }
    let v = fit.weights.v();
    if let Some(d) = d {
        close(v[0] - v[1], d, "D");
    }
    if let Some(r) = r {
        close(v[2] - v[3], r, "R");
    }
    close(fit.weights.mu(), mu, "mu");
}

#[test]
fn golden_case_1_meets_both_limits_exactly() {
    let have = golden(0.0, 0.0, 0.7, 1000.0, 1.0);
    check(&have, [1.0 / 6.0, 0.6875, 1.0, 0.868_421], Some(1.041_667), Some(0.180_921), -0.077_961);
    assert!(have.0.status.is_feasible());
}

#[test]
fn golden_case_2_uses_the_slack_of_its_limits() {
    let have = golden(0.005, 0.01, 0.7, 100.0, 1.0);
    check(&have, [0.225, 0.6875, 1.0, 0.85], Some(0.925), Some(0.1625), -0.0625);
    let v = have.0.weights.v();
    for (have, want) in v.iter().zip([0.925, 0.0, 0.1625, 0.0]) {
        close(*have, want, "v");
    }
    close(have.0.after.mean(0), 0.51, "E_q[s]");
    assert!(have.0.status.is_feasible());
}

#[test]
fn golden_case_3_is_infeasible_and_a_low_enforcement_stays_mild() {
    let have = golden(0.0, 0.0, 0.9, 1.0, 1.0);
    for (have, want) in have.1.iter().zip([0.433_333, 0.933_333, 1.0, 1.0]) {
        close(*have, want, "q");
    }
    check(&have, have.1, Some(1.0), Some(1.0), -0.533_333);
    close(have.0.after.mean(0), 0.555_556, "E_q[s]");
    let M4Status::Infeasible { broken } = &have.0.status else { panic!("{:?}", have.0.status) };
    assert_eq!((broken[0].attribute.as_str(), &broken[0].label, broken[0].direction), ("s", &None, Direction::Lower));
    // Rows without s are 400 of 1000 and would have to weigh 0.9 · 0.5 of all.
    let bound = broken[0].bound.unwrap();
    close(bound.needs, 0.45, "needs");
    close(bound.available, 0.4, "available");
    close(broken[0].residual, 0.055_556, "residual");
    assert_eq!(
        broken[0].to_string(),
        "`s`: the rate is off by +0.0556: rows without it would have to weigh 0.4500 and weigh at most 0.4000"
    );
}

#[test]
fn golden_case_3b_goes_further_with_more_enforcement() {
    let have = golden(0.0, 0.0, 0.9, 10.0, 1.0);
    for (have, want) in have.1.iter().zip([1.0 / 6.0, 1.0, 1.0, 1.0]) {
        close(*have, want, "q");
    }
    close(have.0.weights.v()[2], 10.0, "R+");
    close(have.0.after.mean(0), 0.555_556, "E_q[s]");
    assert!(!have.0.status.is_feasible());
}

#[test]
fn golden_case_4_repeats_rows() {
    let have = golden(0.0, 0.0, 1.0, 1000.0, 3.0);
    check(&have, [0.311_594, 0.963_768, 1.869_565, 1.217_391], None, None, -0.090_580);
    assert!(have.0.status.is_feasible());
}

/// Rows with three overlapping attributes and four labels that go with them, and a utility; from draws.
fn corpus(rows: u32) -> (Vec<u64>, Vec<f32>) {
    let draw = Draw::new(5, "corpus");
    (0..rows)
        .map(|uid| {
            let row = draw.row(u128::from(uid));
            let bit = |k: u64, rate: f64| row.uniform(k) < rate;
            let s = [bit(0, 0.595), bit(1, 0.25), bit(2, 0.2)];
            let gap = |s: bool, with: f64, without: f64| if s { with } else { without };
            let y = [bit(3, gap(s[0], 0.18, 0.08)), bit(4, gap(s[1], 0.1, 0.05)), bit(5, gap(s[2], 0.02, 0.06)), bit(6, 0.1)];
            let bits: u64 = s.iter().chain(&y).enumerate().map(|(i, on)| u64::from(*on) << i).sum();
            (bits, (row.uniform(7) * 1.2) as f32)
        })
        .unzip()
}

fn corpus_problem(utility: Utility) -> M4Problem {
    let attributes = vec![Attribute::new("a", 0.45), Attribute::new("b", 0.3), Attribute::new("c", 0.3)];
    let labels = ["p", "q", "r", "s"].map(String::from).to_vec();
    // Rows with `c` are 0.2 of all, so that at most 0.2 / 0.29 can be kept, and less with the associations.
    M4Problem::new(M4Options { eta: 0.6, utility, ..M4Options::new(attributes, labels) }).unwrap()
}

#[test]
fn a_biased_corpus_is_within_its_limits_after_the_fit() {
    let (rows, _) = corpus(40_000);
    let problem = corpus_problem(Utility::One);
    let mut counts = PatternCounts::new(&problem);
    counts.add_rows(&rows, None).unwrap();
    let fit = fit(&problem, &counts).unwrap();
    let report = fit.report();
    assert!(report.representation_bias_before > 0.14 && report.association_bias_before > 0.09, "{report:?}");
    assert!(report.status.is_feasible(), "{:?}", report.status);
    assert!(report.representation_bias_after < 0.01 + 1e-8);
    assert!(report.associations.iter().all(|line| line.moment_after.abs() < 0.001 + 1e-8));
    assert!((report.mean_weight - 0.6).abs() < 1e-12, "{}", report.mean_weight);
    assert!(fit.iterations < 2000, "{} iterations", fit.iterations);

    // The rows that are drawn are within the limits too, up to the noise of 24 000 draws.
    let draw = Draw::new(0, "m4");
    let mut kept = Moments::new(&problem);
    for (uid, (bits, weight)) in rows.iter().zip(fit.weights.apply(&rows, None).unwrap()).enumerate() {
        kept.add(u128::from(*bits), f64::from(draw.copies(weight, uid as u128)));
    }
    assert!((kept.weight() / 40_000.0 - 0.6).abs() < 0.01);
    assert!(kept.representation_bias(&problem) < 0.02);

    let (gain, lose) = fit.explain(&counts, 3).unwrap();
    assert!(gain.len() == 3 && lose.len() == 3);
    assert!(lose[0].attributes.contains(&"a".to_owned()), "{lose:?}");
    assert!(gain[0].change >= gain[1].change && lose[0].change <= lose[1].change);
    let all: f64 = fit.table(&counts).unwrap().iter().map(|(line, q)| line.count as f64 * q).sum();
    assert!((all / 40_000.0 - 0.6).abs() < 1e-12);
}

#[test]
fn the_streaming_form_comes_near_in_one_pass_and_has_the_exact_mean() {
    let (rows, utilities) = corpus(200_000);
    for utility in [Utility::One, Utility::Exact] {
        let problem = corpus_problem(utility);
        let mut stream = M4Stream::new(&problem);
        for (rows, utilities) in rows.chunks(777).zip(utilities.chunks(777)) {
            stream.add_rows(rows, Some(utilities)).unwrap();
        }
        let mut passes = 0;
        let fit = stream
            .finish(|pass| {
                passes += 1;
                pass.add_rows(&rows, Some(&utilities))
            })
            .unwrap();
        assert!(passes <= 6, "{passes}");
        let report = fit.report();
        let weights = fit.weights.apply(&rows, Some(&utilities)).unwrap();
        let mean = weights.iter().sum::<f64>() / rows.len() as f64;
        assert!((mean / 0.6 - 1.0).abs() < 1e-9, "{mean}");
        assert!((report.mean_weight / 0.6 - 1.0).abs() < 1e-9);
        assert!(report.representation_bias_after < 0.0125, "{}", report.representation_bias_after);
        assert!(report.associations.iter().all(|line| line.moment_after.abs() < 0.0021), "{report:#?}");

        let again = stream.finish(|pass| pass.add_rows_on(&rows, Some(&utilities), 3)).unwrap();
        assert_eq!(again.weights, fit.weights);
        assert_eq!(again.after, fit.after);
    }
}

#[test]
fn the_two_forms_agree() {
    let (rows, utilities) = corpus(400_000);
    let problem = corpus_problem(Utility::Levels { low: 0.0, high: 1.2, count: 13 });
    let mut counts = PatternCounts::new(&problem);
    counts.add_rows_on(&rows, Some(&utilities), 2).unwrap();
    let exact = fit(&problem, &counts).unwrap();
    let mut stream = M4Stream::new(&problem);
    stream.add_rows(&rows, Some(&utilities)).unwrap();
    let near = stream.finish(|pass| pass.add_rows(&rows, Some(&utilities))).unwrap();
    let (exact, near) = (exact.weights.apply(&rows, Some(&utilities)).unwrap(), near.weights.apply(&rows, Some(&utilities)).unwrap());
    let apart = exact.iter().zip(&near).map(|(a, b)| (a - b).abs()).sum::<f64>() / rows.len() as f64;
    assert!(apart < 0.01, "{apart}");
}

#[test]
fn bits_do_not_depend_on_threads_order_or_shards() {
    let (rows, utilities) = corpus(60_000);
    let problem = corpus_problem(Utility::Exact);
    let fitted = |counts: &PatternCounts, threads| {
        let solver = SolverOptions { tolerance: 1e-7, threads, ..SolverOptions::default() };
        fit_with(&problem, counts, &solver).unwrap()
    };
    let mut one = PatternCounts::new(&problem);
    one.add_rows(&rows, Some(&utilities)).unwrap();
    let first = fitted(&one, 1);
    // Many chunks of lines, so that threads have something to share.
    assert!(one.patterns() > 50_000);

    let mut other = PatternCounts::new(&problem);
    for shard in [2, 0, 1] {
        let part: Vec<usize> = (0..rows.len()).rev().filter(|i| i % 3 == shard).collect();
        let mut counts = PatternCounts::new(&problem);
        let rows: Vec<u64> = part.iter().map(|i| rows[*i]).collect();
        let utilities: Vec<f32> = part.iter().map(|i| utilities[*i]).collect();
        counts.add_rows_on(&rows, Some(&utilities), 2).unwrap();
        other.merge(&serde_json::from_str(&serde_json::to_string(&counts).unwrap()).unwrap()).unwrap();
    }
    let second = fitted(&other, 3);
    assert_eq!(first.weights, second.weights);
    assert_eq!(first.after, second.after);
    assert_eq!(first.weights.apply(&rows, Some(&utilities)).unwrap(), second.weights.apply_on(&rows, Some(&utilities), 4).unwrap());
    let stored: M4Weights = toml::from_str(&toml::to_string(&first.weights).unwrap()).unwrap();
    assert_eq!(stored, first.weights);
}

#[test]
fn what_cannot_be_balanced_is_an_error_that_names_it() {
    let problem = corpus_problem(Utility::One);
    let mut counts = PatternCounts::new(&problem);
    assert_eq!(fit(&problem, &counts).unwrap_err(), M4Error::NoRows);
    counts.add_rows(&[0b011u64, 0b001, 0b101], None).unwrap();
    let error = fit(&problem, &counts).unwrap_err();
    assert_eq!(error.to_string(), "the attribute `a` is constant: 3 of 3 rows have it");
    let mut stream = M4Stream::new(&problem);
    stream.add_rows(&[0b010u64, 0b100], None).unwrap();
    let error = stream.finish::<M4Error>(|_| Ok(())).unwrap_err();
    assert_eq!(error.to_string(), "the attribute `a` is constant: 0 of 2 rows have it");

    let error = counts.add_rows(&[0u64, 1 << 7], None).unwrap_err();
    assert_eq!(error, M4Error::UnknownBit { row: 1, bit: 7, known: 7 });
    let used = corpus_problem(Utility::Exact);
    let mut counts = PatternCounts::new(&used);
    assert_eq!(counts.add_rows(&[1u64], None).unwrap_err(), M4Error::MissingUtility);
    assert_eq!(counts.add_rows(&[1u64], Some(&[])).unwrap_err(), M4Error::Lengths { rows: 1, utilities: 0 });
    let error = counts.add_rows(&[1u64, 1], Some(&[1.0, -1.0])).unwrap_err();
    assert_eq!(error, M4Error::BadUtility { row: 1, value: -1.0 });
    assert_eq!(fit(&problem, &counts).unwrap_err(), M4Error::OtherProblem);
    let mut small = PatternCounts::new(&problem).with_limit(2);
    assert_eq!(small.add_rows(&[1u64, 2, 3], None).unwrap_err(), M4Error::TooManyPatterns(2));
}

#[test]
fn settings_out_of_range_are_errors() {
    let good = || M4Options::new(vec![Attribute::new("a", 0.5)], vec!["y".into()]);
    let error = |options: M4Options| M4Problem::new(options).unwrap_err().to_string();
    assert!(M4Problem::new(good()).is_ok());
    assert_eq!(error(M4Options { eta: 0.0, ..good() }), "`eta` is 0: it must be above 0 and at most 1");
    assert_eq!(error(M4Options { eta: f64::NAN, ..good() }), "`eta` is NaN: it must be above 0 and at most 1");
    assert_eq!(error(M4Options { cap: 0.5, ..good() }), "`eta` is 0.9: it must be at most the cap");
    assert_eq!(error(M4Options { enforcement: -1.0, ..good() }), "`enforcement` is -1: it must be a finite number above 0");
    assert_eq!(error(M4Options { epsilon_r: Limit::All(1.5), ..good() }), "`epsilon_r` is 1.5: it must be between 0 and 1");
    assert_eq!(error(M4Options { epsilon_d: Limit::Each(vec![]), ..good() }), "`epsilon_d` has 0 values: it takes one, or 1");
    let attributes = vec![Attribute::new("a", 1.5)];
    assert_eq!(error(M4Options { attributes, ..good() }), "`the target of a` is 1.5: it must be between 0 and 1");
    assert_eq!(error(M4Options { labels: vec!["a".into()], ..good() }), "the name `a` is given twice");
    assert_eq!(error(M4Options { attributes: vec![], ..good() }), "m4 needs at least one attribute");
    let labels = (0..128).map(|i| i.to_string()).collect();
    assert_eq!(error(M4Options { labels, ..good() }), "1 attributes and 128 labels: m4 takes at most 128 together");
    let read: M4Options = toml::from_str("labels = []\neta = 0.5\nattributes = [{ name = 'a', target = 0.5 }]").unwrap();
    assert_eq!((read.eta, read.epsilon_r), (0.5, Limit::All(0.01)));
}

#[test]
fn patterns_of_128_bits_work() {
    let labels: Vec<String> = (0..126).map(|i| format!("y{i}")).collect();
    let attributes = vec![Attribute::new("a", 0.5), Attribute::new("b", 0.5)];
    let options = M4Options { eta: 0.6, epsilon_d: gap_limit(&attributes, 126, 0.01), ..M4Options::new(attributes, labels) };
    let problem = M4Problem::new(options).unwrap();
    let draw = Draw::new(0, "wide");
    let rows: Vec<u128> = (0..20_000u128)
        .map(|uid| {
            let row = draw.row(uid);
            let a = row.uniform(0) < 0.6;
            let b = row.uniform(1) < 0.4;
            let last = row.uniform(2) < if a { 0.3 } else { 0.1 };
            u128::from(a) | u128::from(b) << 1 | u128::from(last) << 127 | 1 << (2 + row.bits(3) % 8)
        })
        .collect();
    let mut counts = PatternCounts::new(&problem);
    counts.add_rows(&rows, None).unwrap();
    let stored: PatternCounts = serde_json::from_str(&serde_json::to_string(&counts).unwrap()).unwrap();
    assert_eq!(stored.sorted(), counts.sorted());
    let fit = fit(&problem, &counts).unwrap();
    assert!(fit.status.is_feasible(), "{:?}", fit.status);
    assert!(fit.before.gap(0, 125).unwrap() > 0.15);
    assert!(fit.after.gap(0, 125).unwrap().abs() < 0.012);
    assert!(fit.after.gap(0, 124).is_some());
}

/// Any problem of up to three attributes and labels with any counts.
fn any_case() -> impl Strategy<Value = (M4Options, Vec<u64>)> {
    (1usize..=3, 0usize..=3).prop_flat_map(|(m, c)| {
        let attributes = prop::collection::vec(0.05..0.95f64, m);
        let rows = prop::collection::vec(0u64..1 << (m + c), 20..200);
        let limits = (prop::sample::select(vec![0.0, 0.01, 0.05]), prop::sample::select(vec![0.0, 0.001, 0.02]));
        (attributes, rows, limits, 0.1..1.0f64, prop::sample::select(vec![1.0, 1.5, 4.0]), prop::sample::select(vec![1.0, 30.0])).prop_map(
            move |(targets, rows, (epsilon_r, epsilon_d), eta, cap, enforcement)| {
                let attributes = targets.iter().enumerate().map(|(k, t)| Attribute::new(format!("s{k}"), *t)).collect();
                let labels = (0..c).map(|r| format!("y{r}")).collect();
                let (epsilon_r, epsilon_d) = (Limit::All(epsilon_r), Limit::All(epsilon_d));
                (M4Options { epsilon_r, epsilon_d, eta, cap, enforcement, ..M4Options::new(attributes, labels) }, rows)
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_mean_is_eta_and_limits_are_met_or_said_to_be_broken((options, rows) in any_case()) {
        let problem = M4Problem::new(options).unwrap();
        let mut counts = PatternCounts::new(&problem);
        counts.add_rows(&rows, None).unwrap();
        let fit = match fit(&problem, &counts) {
            Ok(fit) => fit,
            Err(M4Error::ConstantAttribute { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let options = problem.options();
        let weights = fit.weights.apply(&rows, None).unwrap();
        prop_assert!(weights.iter().all(|q| (0.0..=options.cap).contains(q)));
        let mean = weights.iter().sum::<f64>() / rows.len() as f64;
        prop_assert!((mean / options.eta - 1.0).abs() < 1e-9, "mean {mean}, eta {}", options.eta);

        // Measured again from the weights alone.
        let mut kept = Moments::new(&problem);
        rows.iter().zip(&weights).for_each(|(bits, q)| kept.add(u128::from(*bits), *q));
        let v = fit.weights.v();
        match &fit.status {
            M4Status::Feasible => {
                prop_assert!(kept.representation_bias(&problem) <= problem.epsilon_r[0] + 1e-7);
                for k in 0..problem.attributes() {
                    for r in 0..problem.labels() {
                        let limit = problem.epsilon_d[k * problem.labels() + r];
                        prop_assert!(kept.moment(k, r, problem.target(k)).abs() <= limit + 1e-7);
                    }
                }
            }
            M4Status::Infeasible { broken } => {
                // A limit is broken only where its multiplier is at its cap.
                let most = v.iter().copied().fold(0.0, f64::max);
                prop_assert!((most - options.enforcement).abs() < 1e-6, "{broken:?}, v {v:?}");
            }
        }

        // q falls where v·a grows, and copies come from draws that nest.
        let tilt = tilt::Tilt::new(&problem, v);
        let mut by_tilt: Vec<(f64, f64)> = rows.iter().zip(&weights).map(|(bits, q)| (tilt.of(u128::from(*bits)), *q)).collect();
        by_tilt.sort_by(|a, b| a.0.total_cmp(&b.0));
        prop_assert!(by_tilt.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        let (low, high) = tilt.range();
        prop_assert!(by_tilt.iter().all(|(t, _)| *t >= low - 1e-9 && *t <= high + 1e-9));
    }

    #[test]
    fn any_order_and_sharding_give_the_same_bits((options, rows) in any_case(), cut in 0.0..1.0f64) {
        let problem = M4Problem::new(options).unwrap();
        let mut counts = PatternCounts::new(&problem);
        counts.add_rows(&rows, None).unwrap();
        let Ok(first) = fit(&problem, &counts) else { return Ok(()) };
        let mut turned: Vec<u64> = rows.clone();
        turned.sort_unstable();
        let cut = (cut * rows.len() as f64) as usize;
        let mut shards = [PatternCounts::new(&problem), PatternCounts::new(&problem)];
        shards[0].add_rows(&turned[cut..], None).unwrap();
        shards[1].add_rows(&turned[..cut], None).unwrap();
        let [mut all, other] = shards;
        all.merge(&other).unwrap();
        let second = fit(&problem, &all).unwrap();
        prop_assert_eq!(&first.weights, &second.weights);
        prop_assert_eq!(first.after, second.after);
    }

    #[test]
    fn the_sparse_tilt_is_v_times_the_bias_vector(m in 1usize..4, c in 0usize..4, seed: u64, bits: u64) {
        let draw = Draw::new(seed, "v").row(0);
        let attributes: Vec<Attribute> = (0..m).map(|k| Attribute::new(format!("s{k}"), draw.uniform(100 + k as u64))).collect();
        let options = M4Options::new(attributes, (0..c).map(|r| format!("y{r}")).collect());
        let problem = M4Problem::new(options).unwrap();
        let v: Vec<f64> = (0..problem.multipliers()).map(|j| draw.uniform(j as u64)).collect();
        let bits = bits & ((1 << (m + c)) - 1);
        // The bias vector written out as in the paper's notation.
        let d: Vec<f64> = (0..m).map(|k| (bits >> k & 1) as f64 - problem.target(k)).collect();
        let y: Vec<f64> = (0..c).map(|r| (bits >> (m + r) & 1) as f64).collect();
        let outer: Vec<f64> = d.iter().flat_map(|d| y.iter().map(move |y| d * y)).collect();
        let a: Vec<f64> = outer.iter().map(|x| x - 0.001).chain(outer.iter().map(|x| -x - 0.001))
            .chain(d.iter().map(|x| x - 0.01)).chain(d.iter().map(|x| -x - 0.01)).collect();
        let want: f64 = v.iter().zip(&a).map(|(v, a)| v * a).sum();
        prop_assert!((tilt::Tilt::new(&problem, &v).of(u128::from(bits)) - want).abs() < 1e-12);

        let mut moments = Moments::new(&problem);
        moments.add(u128::from(bits), 0.5);
        let (mut bias, mut squares) = (vec![0.0; a.len()], vec![0.0; a.len()]);
        moments.bias(&problem, &mut bias);
        moments.squares(&problem, &mut squares);
        for j in 0..a.len() {
            prop_assert!((bias[j] - 0.5 * a[j]).abs() < 1e-12);
            prop_assert!((squares[j] - 0.5 * a[j] * a[j]).abs() < 1e-12);
        }
    }
}
