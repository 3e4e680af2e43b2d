//! What shows that an answer is to the sign-in that was begun here: PKCE (RFC 7636) and the state.
//!
//! No `Debug`: with them somebody else could end the sign-in.

use anyhow::Result;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Random bytes of each secret; base64url makes 43 characters of them, the least RFC 7636 takes.
const BYTES: usize = 32;

pub struct Proof {
    /// Only the server is told, when the code is handed in.
    pub verifier: String,
    pub state: State,
}

impl Proof {
    pub fn new() -> Result<Self> {
        Ok(Self { verifier: random()?, state: State(random()?) })
    }

    /// What the sign-in begins with: it does not give the verifier away.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }
}

/// Comes back with the answer.
#[derive(Clone)]
pub struct State(String);

impl State {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes as long for a guess that is nearly right as for one that is not.
    pub fn is(&self, given: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), given.as_bytes()).is_ok()
    }
}

fn random() -> Result<String> {
    let mut bytes = [0; BYTES];
    let failed = |_| anyhow::anyhow!("the system gives no random numbers");
    aws_lc_rs::rand::fill(&mut bytes).map_err(failed)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        // Appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        let proof = Proof { verifier, state: State(String::new()) };
        assert_eq!(proof.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn every_proof_is_another_and_long_enough() {
        let (one, other) = (Proof::new().unwrap(), Proof::new().unwrap());
        assert_eq!(one.verifier.len(), 43);
        assert!(one.verifier != other.verifier && one.verifier != one.state.0);
        assert!(one.state.is(one.state.as_str()));
        for wrong in ["", other.state.as_str(), &one.state.as_str()[1..]] {
            assert!(!one.state.is(wrong), "{wrong}");
        }
    }
}
