//! What the core builds on SHA-256: `cargo bench -p p2pnet-benches --bench hash`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use p2pnet_protocol::hash::{derive, hkdf2, hmac_sha256, sha256};
use std::hint::black_box;

fn hashes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sha256");
    for size in [32, 64, 1_024, 16_384, 65_536] {
        let data = vec![7; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| sha256(&[black_box(&data)]));
        });
    }
    group.finish();
    criterion.bench_function("hmac_sha256 of 64 bytes", |bencher| {
        bencher.iter(|| hmac_sha256(black_box(&[7; 32]), &[&[7; 64]]));
    });
    criterion.bench_function("hkdf2", |bencher| {
        bencher.iter(|| hkdf2(black_box(&[7; 32]), &[7; 32]));
    });
    criterion.bench_function("derive", |bencher| {
        bencher.iter(|| derive(black_box(&[7; 32]), b"label"));
    });
}

criterion_group!(benches, hashes);
criterion_main!(benches);
