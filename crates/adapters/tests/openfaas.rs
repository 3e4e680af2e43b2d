//! OpenFaaS, in both flavours: a stand-in for its gateway that really runs the functions, or the
//! gateway that `DISPATCH_TEST_OPENFAAS` names.

#[path = "openfaas/bed.rs"]
mod bed;
#[path = "openfaas/conformance.rs"]
mod conformance;
#[path = "openfaas/special.rs"]
mod special;
