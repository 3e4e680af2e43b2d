//! What Lambda's answers become.

use dispatch_driver::{Fault, Reached, Scope};
use http::HeaderMap;

use super::*;

const LIMIT: Duration = Duration::from_millis(1500);

fn reply(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    let pair = |(name, value): &(&'static str, &str)| {
        (http::HeaderName::from_static(name), value.parse().unwrap())
    };
    let headers: HeaderMap = headers.iter().map(pair).collect();
    Reply { status, headers, body: Bytes::from_static(body.as_bytes()) }
}

fn error(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Error {
    outcome(&reply(status, headers, body), LIMIT, Phases::default()).unwrap_err()
}

fn failed(headers: &[(&'static str, &str)], body: &'static str) -> (InvocationError, Logs) {
    let mut all = vec![("x-amz-function-error", "Unhandled")];
    all.extend(headers);
    let outcome = outcome(&reply(200, &all, body), LIMIT, Phases::default()).unwrap();
    (outcome.result.unwrap_err(), outcome.logs)
}

/// Words of Lambda's API reference, "Invoke", errors.
#[test]
fn what_did_not_reach_the_function_may_be_sent_elsewhere() {
    let kind = "x-amzn-errortype";
    for (status, name, code, retry) in [
        (429, "TooManyRequestsException", code::ENGINE005, Retry::After(BUSY)),
        (409, "ResourceConflictException", code::ENGINE005, Retry::After(BUSY)),
        (404, "ResourceNotFoundException", code::ENGINE007, Retry::Now),
        (403, "AccessDeniedException", code::ENGINE006, Retry::Never),
        (400, "InvalidRequestContentException", code::ENGINE006, Retry::Never),
        (502, "ENILimitReachedException", code::ENGINE006, Retry::After(BUSY)),
        (502, "SubnetIPAddressLimitReachedException", code::ENGINE006, Retry::After(BUSY)),
    ] {
        let error = error(status, &[(kind, name)], r#"{"Type": "User", "message": "words"}"#);
        assert_eq!((error.code, error.retry, error.fault), (code, retry, Fault::Backend), "{name}");
        assert_eq!(error.reached, Reached::No, "{name}");
        let own = name == "ResourceConflictException";
        assert_eq!(error.scope == Scope::Deployment, own, "{name}");
        assert!(error.message.contains(name) && error.message.contains("words"), "{error}");
    }
    let again = [(kind, "TooManyRequestsException:http://x/"), ("retry-after", "7")];
    let error = error(429, &again, r#"{"Message": "Rate exceeded"}"#);
    assert_eq!(error.retry, Retry::After(Duration::from_secs(7)));
}

#[test]
fn what_may_have_reached_the_function_is_not_said_to_have_not() {
    for (status, headers) in [(500, vec![("x-amzn-errortype", "ServiceException")]), (502, vec![])]
    {
        let error = error(status, &headers, "{}");
        assert_eq!((error.code, error.reached), (code::ENGINE006, Reached::Maybe), "{status}");
    }
}

#[test]
fn a_function_that_fails_by_itself_tells_its_error_and_the_end_of_its_log() {
    let log = STANDARD.encode("START RequestId: 1\nprinted\nEND RequestId: 1\nREPORT RequestId: 1");
    let body = r#"{"errorMessage": "RequestId: 1 Error: Runtime exited", "errorType":
        "Runtime.ExitError", "stackTrace": ["a", "b"]}"#;
    let (error, logs) = failed(&[("x-amz-log-result", &log)], body);
    assert_eq!(error.kind, InvocationErrorType::FunctionError);
    assert!(error.message.contains("Runtime exited"), "{}", error.message);
    assert_eq!(error.stacktrace, ["a", "b"]);
    assert_eq!(logs.stdout, ["printed"]);
    let (error, _) = failed(&[], "no JSON");
    assert_eq!(error.message, "no JSON");
}

#[test]
fn lambdas_own_limit_is_a_timeout() {
    for body in [
        r#"{"errorMessage": "2026-01-01T00:00:00Z 1 Task timed out after 3.00 seconds"}"#,
        r#"{"errorType": "Sandbox.Timedout", "errorMessage": "Request 1: Task timed out"}"#,
    ] {
        assert_eq!(failed(&[], body).0.message, "the function timed out after 1500 ms");
    }
}

#[test]
fn a_call_that_is_too_large_is_its_input() {
    let sent = too_large(7 << 20).result.unwrap_err();
    assert_eq!(sent.kind, InvocationErrorType::InputError);
    assert!(sent.message.contains("6291456"), "{}", sent.message);
    let kind = [("x-amzn-errortype", "RequestTooLargeException")];
    let told = reply(413, &kind, r#"{"message": "Request must be smaller than 6291456 bytes"}"#);
    let told = outcome(&told, LIMIT, Phases::default()).unwrap().result.unwrap_err();
    assert_eq!(told.kind, InvocationErrorType::InputError);
}
