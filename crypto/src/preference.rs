//! Which AEAD is quicker on this machine.

use p2pnet_protocol::crypto::Aead;

pub(crate) const AES_FIRST: &[Aead] = &[Aead::Aes256Gcm, Aead::ChaCha20Poly1305];
const CHACHA_FIRST: &[Aead] = &[Aead::ChaCha20Poly1305, Aead::Aes256Gcm];
/// The order of a provider that was asked to do without AES.
pub(crate) const CHACHA_ONLY: &[Aead] = &[Aead::ChaCha20Poly1305];

/// AES first where the processor has instructions both for it and for GCM's multiplication. Without them AES in
/// software is slow where it is safe (bit-sliced), and leaks through caches where it is not.
pub(crate) fn order() -> &'static [Aead] {
    if aes_in_hardware() { AES_FIRST } else { CHACHA_FIRST }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn aes_in_hardware() -> bool {
    cpufeatures::new!(instructions, "aes", "pclmulqdq");
    instructions::get()
}

/// `aes` stands for the polynomial multiplication too: the architecture's AES extension holds both.
#[cfg(target_arch = "aarch64")]
fn aes_in_hardware() -> bool {
    cpufeatures::new!(instructions, "aes");
    instructions::get()
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn aes_in_hardware() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(target_arch = "x86_64", feature = "fast"))]
    fn agrees_with_the_standard_library() {
        let hardware =
            std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq");
        assert_eq!(order()[0] == Aead::Aes256Gcm, hardware);
    }

    #[test]
    fn every_order_has_the_cipher_that_all_nodes_support() {
        for order in [AES_FIRST, CHACHA_FIRST, CHACHA_ONLY] {
            assert!(order.contains(&Aead::ChaCha20Poly1305));
        }
    }
}
