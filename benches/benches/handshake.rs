//! Noise XX in memory, both ends, and the curves under it: `cargo bench -p p2pnet-benches --bench handshake`.

use criterion::{Criterion, criterion_group, criterion_main};
use p2pnet_benches::memory::{Pair, snow_pair};
use p2pnet_crypto::{FastCrypto, PureCrypto, SimulatedCrypto};
use p2pnet_protocol::{Crypto, Seed};

fn provider<C: Crypto>(criterion: &mut Criterion, name: &str, mut crypto: C, again: C) {
    let mut group = criterion.benchmark_group(name);
    let (secret, public) = crypto.dh_generate();
    group.bench_function("dh", |bencher| bencher.iter(|| crypto.dh(&secret, &public)));
    let key = crypto.signing_key(&[7; 32]);
    let identity = crypto.public_key(&key);
    let signature = crypto.sign(&key, &[7; 64]);
    group.bench_function("sign", |bencher| bencher.iter(|| crypto.sign(&key, &[7; 64])));
    group.bench_function("verify", |bencher| {
        bencher.iter(|| crypto.verify(&identity, &[7; 64], &signature));
    });
    group.bench_function("dh_generate", |bencher| bencher.iter(|| crypto.dh_generate()));
    let mut pair = Pair::new(again);
    group.bench_function("handshake pair", |bencher| {
        bencher.iter(|| pair.shake().expect("an undisturbed handshake"));
    });
    group.finish();
}

fn handshakes(criterion: &mut Criterion) {
    let fast = FastCrypto::new().expect("randomness");
    provider(criterion, "fast", fast.clone(), fast);
    let pure = PureCrypto::new().expect("randomness");
    provider(criterion, "pure", pure.clone(), pure);
    let simulated = SimulatedCrypto::new(Seed::from_u64(1));
    provider(criterion, "simulated", simulated.clone(), simulated);
    criterion.bench_function("snow/handshake pair without signatures", |bencher| {
        bencher.iter(|| snow_pair().expect("an undisturbed handshake"));
    });
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
