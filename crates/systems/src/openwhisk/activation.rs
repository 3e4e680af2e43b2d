//! Records of calls.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Success,
    ApplicationError,
    DeveloperError,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub name: String,
    pub start: SystemTime,
    pub end: SystemTime,
    pub logs: Vec<String>,
    pub result: Result<Value, (Status, Value)>,
}

impl Record {
    pub fn status(&self) -> Status {
        self.result.as_ref().map_or_else(|(status, _)| *status, |_| Status::Success)
    }

    pub fn shown(&self, id: &str) -> Value {
        let ms = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or_default()
        };
        let (code, words) = match self.status() {
            Status::Success => (0, "success"),
            Status::ApplicationError => (1, "application error"),
            Status::DeveloperError => (2, "action developer error"),
        };
        let result = match &self.result {
            Ok(result) | Err((_, result)) => result,
        };
        json!({
            "activationId": id,
            "namespace": "guest",
            "name": self.name,
            "version": "0.0.1",
            "subject": "guest",
            "publish": false,
            "start": ms(self.start),
            "end": ms(self.end),
            "duration": ms(self.end) - ms(self.start),
            "statusCode": code,
            "response": {"success": code == 0, "status": words, "result": result},
            "logs": self.logs,
            "annotations": [{"key": "path", "value": format!("guest/{}", self.name)}],
        })
    }
}
