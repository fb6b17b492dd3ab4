//! AEADs of each provider, through the core's trait: `cargo bench -p p2pnet-benches --bench aead`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use p2pnet_benches::buffer::Buffer;
use p2pnet_benches::memory::SIZES;
use p2pnet_crypto::{FastCrypto, PureCrypto, SimulatedCrypto};
use p2pnet_protocol::Seed;
use p2pnet_protocol::crypto::{Aead, Crypto};

fn provider(criterion: &mut Criterion, name: &str, crypto: &impl Crypto) {
    for (cipher, aead) in [("aes", Aead::Aes256Gcm), ("chacha", Aead::ChaCha20Poly1305)] {
        let mut group = criterion.benchmark_group(format!("{name}/{cipher}"));
        let key = crypto.cipher(aead, &[7; 32]);
        for size in SIZES {
            let mut buffer = Buffer::new(size);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new("seal", size), |bencher| {
                bencher.iter(|| crypto.seal(&key, &[1; 12], b"", &mut buffer));
            });
            group.bench_function(BenchmarkId::new("seal and open", size), |bencher| {
                bencher.iter(|| {
                    let tag = crypto.seal(&key, &[1; 12], b"", &mut buffer);
                    crypto.open(&key, &[1; 12], b"", &mut buffer, &tag)
                });
            });
        }
        group.finish();
    }
}

fn aeads(criterion: &mut Criterion) {
    provider(criterion, "fast", &FastCrypto::new().expect("randomness"));
    provider(criterion, "pure", &PureCrypto::new().expect("randomness"));
    provider(criterion, "simulated", &SimulatedCrypto::new(Seed::from_u64(1)));
}

criterion_group!(benches, aeads);
criterion_main!(benches);
