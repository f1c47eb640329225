use super::*;
use crate::kernels::testing::{max_error, noise, same_for_any_threads};

fn reference(
    (m, n, k): (usize, usize, usize),
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] = (0..k)
                .map(|p| f64::from(a(i, p)) * f64::from(b(p, j)))
                .sum();
        }
    }
    c
}

fn exact() -> impl Iterator<Item = Arithmetic> {
    CpuLevel::available().map(|level| Arithmetic { level, bf16: false })
}

const SIZES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (1, 70, 19),
    (14, 32, 8),
    (15, 33, 9),
    (37, 3, 300),
    (65, 100, 31),
    (130, 17, 513),
    (29, 530, 260),
    (240, 48, 64),
];

#[test]
fn products_of_odd_sizes_match_double_precision() {
    for how in exact() {
        for (m, n, k) in SIZES {
            let tolerance = 2e-6 * (k as f64);
            let (a, b, bias) = (noise(m * k, 1), noise(n * k, 2), noise(n, 3));
            let mut c = vec![f32::NAN; m * n];
            let check = |c: &mut Vec<f32>, want: &[f64], what: &str| {
                let error = max_error(c, want);
                assert!(error < tolerance, "{what} {m} {n} {k} {how:?}: {error}");
                c.fill(f32::NAN);
            };
            let mut want = reference((m, n, k), |i, p| a[i * k + p], |p, j| b[j * k + p]);
            linear_forward(how, (m, n, k), &a, &b, None, &mut c);
            check(&mut c, &want, "no bias");
            for (i, want) in want.iter_mut().enumerate() {
                *want += f64::from(bias[i % n]);
            }
            linear_forward(how, (m, n, k), &a, &b, Some(&bias), &mut c);
            check(&mut c, &want, "bias");
            product(how, (m, n, k), &a, &b, &mut c);
            let want = reference((m, n, k), |i, p| a[i * k + p], |p, j| b[p * n + j]);
            check(&mut c, &want, "product");
            transposed_product(how, (m, n, k), &a, &b, &mut c);
            let want = reference((m, n, k), |i, p| a[p * m + i], |p, j| b[p * n + j]);
            check(&mut c, &want, "transposed");
        }
    }
}

#[test]
fn any_strides() {
    for how in exact() {
        let (m, n, k) = (33, 21, 40);
        let (a, b) = (noise(m * k * 6, 4), noise(n * k * 6, 5));
        let mut c = vec![f32::NAN; m * n];
        let lines_a = Strided::new(&a, (m, 2), (k, 2 * m + 1));
        let lines_b = Strided::new(&b, (n, 3 * k), (k, 3));
        gemm(how, (m, n, k), &lines_a, &lines_b, &mut c, Init::Zero);
        let want = reference(
            (m, n, k),
            |i, p| a[i * 2 + p * (2 * m + 1)],
            |p, j| b[j * 3 * k + p * 3],
        );
        assert!(max_error(&c, &want) < 1e-4);
    }
}

#[test]
fn sums_of_nothing_are_the_bias() {
    for how in exact() {
        let mut c = vec![f32::NAN; 6];
        linear_forward(how, (2, 3, 0), &[], &[], Some(&[1.0, 2.0, 3.0]), &mut c);
        assert_eq!(c, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    }
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let (m, n, k) = (333, 200, 700);
    let (a, b) = (noise(m * k, 7), noise(n * k, 8));
    same_for_any_threads(|| {
        let mut c = vec![0.0; m * n];
        linear_forward(
            Arithmetic {
                level: packshot_core::cpu_level(),
                bf16: false,
            },
            (m, n, k),
            &a,
            &b,
            None,
            &mut c,
        );
        c
    });
    same_for_any_threads(|| {
        let mut c = vec![0.0; m * n];
        transposed_product(
            Arithmetic {
                level: packshot_core::cpu_level(),
                bf16: false,
            },
            (m, n, k),
            &a,
            &b,
            &mut c,
        );
        c
    });
}

#[test]
fn deep_sums_are_packed_in_parts() {
    // More than 2²¹ floats of B: columns 1000 wide need several rounds.
    let (m, n, k) = (3, 1000, 2500);
    let (a, b) = (noise(m * k, 9), noise(n * k, 10));
    for how in exact() {
        let mut c = vec![0.0; m * n];
        product(how, (m, n, k), &a, &b, &mut c);
        let want = reference((m, n, k), |i, p| a[i * k + p], |p, j| b[p * n + j]);
        assert!(max_error(&c, &want) < 1e-3);
    }
}

#[test]
fn bf16_products_are_those_of_rounded_inputs() {
    if !crate::precision::has_bf16() {
        // Then the switch has no effect either.
        let precision = crate::precision::set_matmul_precision(MatmulPrecision::Bf16);
        assert_eq!(precision, MatmulPrecision::F32);
        return;
    }
    let how = Arithmetic {
        level: CpuLevel::Avx512,
        bf16: true,
    };
    let round = |x: f32| half::bf16::from_f32(x).to_f32();
    for (m, n, k) in SIZES.into_iter().chain([(30, 40, 1025), (17, 1000, 2500)]) {
        let tolerance = 4e-6 * (k as f64);
        let (a, b, bias) = (noise(m * k, 1), noise(n * k, 2), noise(n, 3));
        let mut c = vec![f32::NAN; m * n];
        linear_forward(how, (m, n, k), &a, &b, Some(&bias), &mut c);
        let mut want = reference(
            (m, n, k),
            |i, p| round(a[i * k + p]),
            |p, j| round(b[j * k + p]),
        );
        for (i, want) in want.iter_mut().enumerate() {
            *want += f64::from(bias[i % n]);
        }
        let error = max_error(&c, &want);
        assert!(error < tolerance, "{m} {n} {k}: {error}");
        transposed_product(how, (m, n, k), &a, &b, &mut c);
        let want = reference(
            (m, n, k),
            |i, p| round(a[p * m + i]),
            |p, j| round(b[p * n + j]),
        );
        let error = max_error(&c, &want);
        assert!(error < tolerance, "transposed {m} {n} {k}: {error}");
    }
    let (m, n, k) = (300, 70, 600);
    let (a, b) = (noise(m * k, 7), noise(n * k, 8));
    same_for_any_threads(|| {
        let mut c = vec![0.0; m * n];
        linear_forward(how, (m, n, k), &a, &b, None, &mut c);
        c
    });
}
