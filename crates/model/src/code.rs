//! The documented error codes: one list for the server, `dispatch explain` and `docs/errors`.

/// A documented error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    pub title: &'static str,
    /// What it means, for the one who met it.
    pub meaning: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

macro_rules! codes {
    ($($code:ident $title:literal $meaning:literal $fix:literal)*) => {
        $(pub const $code: &str = stringify!($code);)*
        /// All codes, in the order of their pages.
        pub const ALL: &[Code] = &[
            $(Code { code: stringify!($code), title: $title, meaning: $meaning, fix: $fix },)*
        ];
    };
}

codes! {
    API001 "Invalid field"
        "A field of the request broke a rule; the message names the field and the rule."
        "Correct the field and send the request again; nothing was stored."
    API002 "Not found"
        "There is no such thing in the organization the request was made for."
        "Check the name with `dispatch get`, and the organization with `dispatch context`."
    API003 "Already exists"
        "A resource of this kind and name exists in the organization."
        "Choose another name, or use `dispatch update` or `dispatch apply`."
    API004 "Changed meanwhile"
        "The resource was changed by someone else after it was read."
        "Read it again, repeat the change on what is there now, and send it with the new revision."
    API005 "In use"
        "Other resources use this one, and the request (`--protect`) or its organization \
         (`protectInUse`) protects them."
        "Delete the users the message names first; or repeat without `--protect`, unless the \
         organization protects what is in use."
    API006 "Too large"
        "The body is larger than the server's limit for it."
        "Send less, or raise the limit the message names in the server's configuration."
    API007 "Not ready"
        "The function exists but is not READY, so it cannot run."
        "Look at its status and reason with `dispatch get function NAME -o yaml`."
    API008 "Busy"
        "The server has as much work waiting as it allows itself."
        "Try again after the time in the Retry-After header, or raise the limit."
    API009 "Internal error"
        "Something failed inside the server; its log has the details under the request id."
        "Try again; if it stays, look up the request id in the server's log."
    API010 "Unavailable"
        "The database, or something else the server needs, does not answer."
        "Check the server's log and /readyz."
    IAM001 "Not signed in"
        "The request carried no credentials, or none that are valid now."
        "Sign in with `dispatch login`, or check the key and the clock of the service account."
    IAM002 "Not allowed"
        "No rule of a policy allows it, one denies it, or it would give what its author lacks."
        "`dispatch auth can-i ACTION RESOURCE --explain` names the rule; an administrator adds one."
    IAM003 "No sign-in by browser"
        "The server has no identity provider that browsers could sign in with."
        "Use a service account: `dispatch login --service-account NAME --jwt-private-key FILE`; \
         or let the operator configure a provider (auth.providers_file)."
    IAM004 "Too many failed sign-ins"
        "Sign-ins with this name, or from this address, have failed too often."
        "Wait as long as the message and the Retry-After header say."
    IDENTITY001 "Wrong name or password"
        "The identity provider does not sign in anybody with this name and password now."
        "Type both again. If they are right, an administrator finds the reason in the server's log."
    IDENTITY002 "Identity provider does not answer"
        "The identity provider cannot be reached, is too slow, is overloaded or failed."
        "Try again; if it stays, look at the provider's health and the server's log."
    IDENTITY003 "Identity provider refused its settings"
        "The settings of an identity provider do not go together, name a file that cannot be read, \
         or are not what the provider itself expects, such as its client's id or secret."
        "Correct what the message names, and the client's registration at the provider."
    IDENTITY004 "Identity provider's answer not trusted"
        "What the identity provider answered is not signed by its keys, not meant for this client \
         or sign-in, too large, or not what the protocol has."
        "Check the issuer, the client's registration and the clocks; the message says what is \
         wrong."
    IDENTITY005 "Sign-in is over"
        "The sign-in was begun elsewhere, too long ago, or was finished before; or the provider \
         does not stand by it any more."
        "Sign in again from the start."
    IDENTITY006 "Sign-in refused"
        "The identity provider, or a rule of this server about its members, does not let you in."
        "Read the reason in the message, and ask the administrator of the provider or this server."
    IDENTITY007 "Address refused"
        "An identity provider leads to an address the server may not call: a plain-text one, the \
         machine itself, its link, or a cloud's metadata service."
        "Give the provider an https address; one on the machine itself only for tests."
    IDENTITY008 "No such sign-in"
        "The identity provider has no sign-in of the kind that was asked for."
        "Choose one of the kinds that the provider has."
    IDENTITY009 "Token refused"
        "The token is not signed by the issuer's keys, not for this server, or not valid now."
        "Ask the issuer for a new token with the audience that the server expects."
    ENGINE001 "No engine for the language"
        "No engine of this server runs functions of the image's language."
        "Name another image or engine; `dispatch-server check-config` lists languages found."
    ENGINE002 "Source refused"
        "The source archive is damaged, too large, or holds entries that would leave its folder."
        "Pack the folder again; the message names the entry and the rule."
    ENGINE003 "Handler does not load"
        "The handler could not be loaded or compiled; the message has the interpreter's words."
        "Correct the source or the handler's name and update the function."
    ENGINE004 "Sandbox not available"
        "This machine or user lacks what the sandbox needs, so no handler is run."
        "See the sentences the server prints at start, and docs/guides/sandbox.md."
    ENGINE005 "No free worker"
        "All workers the function may have were busy until the call's deadline, or the engine as a \
         whole had no room; the message says which. A busy function keeps no other from the engine."
        "When the function's own workers were busy, raise its `concurrency` or its `timeout`; when \
         the engine's were, give it more room, or the function another engine beside it."
    ENGINE006 "Engine failed"
        "The engine itself failed while starting or talking to a worker."
        "Try again; if it stays, look at the server's log."
    ENGINE007 "Deployment unknown"
        "The engine does not hold the deployment that was called."
        "It is made again at the next reconciliation; try again."
    ENGINE008 "Engine refused its settings"
        "An engine's settings are each readable, but do not go together, or name a file that \
         cannot be read."
        "Correct what the message names with `dispatch update`, and look at \
         `dispatch get engine NAME`."
    ENGINE009 "No engine has room"
        "Every engine the function may be placed on is away, cordoned or full."
        "`dispatch get placement FUNCTION --explain` says why each was passed over."
    QUOTA001 "Quota of things reached"
        "The organization has as many functions or routes, or stores as many bytes, as it may; \
         the message names the limit, its value and what is used."
        "Delete what is not needed, or ask an operator to raise the organization's `quota`."
    QUOTA002 "Quota of runs reached"
        "The organization has as many runs under way, or begins as many a second, as it may. \
         Nothing was run or accepted."
        "Try again after the time in the Retry-After header, or ask an operator to raise the \
         organization's `quota`."
    QUOTA003 "Quota of the day used up"
        "The organization's runs have used the memory-seconds they may use in a day. Nothing was \
         run or accepted."
        "Wait for the time the message names (midnight, UTC), give functions less `memoryMib`, or \
         ask an operator to raise the organization's `quota`."
    GATEWAY001 "No such route"
        "No API of the gateway matches the host, path and method of the request."
        "List the routes with `dispatch get api`."
    SECRET001 "Secret missing"
        "A secret that the function or the run names does not exist."
        "Create the secret, or take its name out of the function."
    SECRET002 "Secret cannot be opened"
        "The root key the secret was sealed with is not among the server's keys."
        "Give the server the root key it had, or set the secret anew."
    SECRET003 "Secret store does not give the secret"
        "The values are kept in a store outside of Dispatch, which does not answer, refuses, or \
         does not have them; the message says which."
        "Look at the path and the keys of the secret's `source`; the operator finds the store's \
         own answer in the server's log. `dispatch get secret NAME --all` tries it again."
    SECRET004 "Root key cannot be changed now"
        "A rotation runs already, something is sealed with the old key still, or the server's keys \
         are given by its configuration, where it cannot write."
        "Do what the message says; `dispatch rotate root-key --status` shows how far it is."
    SCHEMA001 "Schema invalid"
        "A JSON Schema of the function is not valid, or refers to another document."
        "Correct the schema; `$ref` may point only inside the same schema."
}

/// The code a text begins with, as in `SECRET002: secret db cannot be opened`.
pub fn leading(text: &str) -> Option<&'static str> {
    find(text.split_once(':')?.0).map(|code| code.code)
}

/// Looks a code up, in any case.
pub fn find(code: &str) -> Option<&'static Code> {
    ALL.iter().find(|c| c.code.eq_ignore_ascii_case(code))
}
