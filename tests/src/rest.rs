//! The worker's REST interface as any client sees it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

/// A client of one worker.
#[derive(Clone, Debug)]
pub struct Rest {
    base: String,
    agent: ureq::Agent,
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The whole body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("not JSON: {}", self.text))
    }

    /// What stands in the envelope of a success.
    ///
    /// # Errors
    /// It was no success.
    pub fn body(&self) -> Result<Value> {
        ensure!(
            self.status == 200,
            "answered {}: {}",
            self.status,
            self.text
        );
        let json = self.json()?;
        ensure!(
            json.get("status") == Some(&Value::from(200)),
            "no envelope: {}",
            self.text
        );
        json.get("body")
            .cloned()
            .with_context(|| format!("no body: {}", self.text))
    }

    /// The message of a refusal.
    ///
    /// # Errors
    /// It was none.
    pub fn refusal(&self) -> Result<String> {
        ensure!(
            self.status >= 400,
            "answered {}, no refusal: {}",
            self.status,
            self.text
        );
        let json = self.json()?;
        ensure!(
            json.get("errorCode") == Some(&Value::from(self.status)),
            "status line {} and envelope differ: {}",
            self.status,
            self.text
        );
        let message = json.get("message").and_then(Value::as_str);
        Ok(message
            .with_context(|| format!("no message: {}", self.text))?
            .to_owned())
    }
}

/// State of one connector or task and the reason it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Such as `RUNNING`.
    pub state: String,
    /// Empty when there is none.
    pub reason: String,
}

impl Rest {
    /// A client of the worker that listens at `address`.
    pub fn new(address: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Self {
            base: format!("http://{address}"),
            agent,
        }
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET.
    ///
    /// # Errors
    /// No answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let response = self
            .agent
            .get(&url)
            .call()
            .with_context(|| format!("cannot get {url}"))?;
        answer(response)
    }

    /// POST with a body that is sent as it is.
    ///
    /// # Errors
    /// No answer.
    pub fn post(&self, path: &str, body: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let request = self
            .agent
            .post(&url)
            .header("content-type", "application/json");
        let response = request
            .send(body)
            .with_context(|| format!("cannot post to {url}"))?;
        answer(response)
    }

    /// POST with bytes.
    ///
    /// # Errors
    /// No answer.
    pub fn upload(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let request = self
            .agent
            .post(&url)
            .header("content-type", "application/wasm");
        let response = request
            .send(body)
            .with_context(|| format!("cannot post to {url}"))?;
        answer(response)
    }

    /// DELETE.
    ///
    /// # Errors
    /// No answer.
    pub fn delete_at(&self, path: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let response = self
            .agent
            .delete(&url)
            .call()
            .with_context(|| format!("cannot delete {url}"))?;
        answer(response)
    }

    /// Asks for a connector.
    ///
    /// # Errors
    /// No answer.
    pub fn ask_for(&self, name: &str, config: &Value) -> Result<Answer> {
        self.post(&format!("/connectors/{name}"), &config.to_string())
    }

    /// Creates or changes a connector.
    ///
    /// # Errors
    /// It was refused.
    pub fn create(&self, name: &str, config: &Value) -> Result<()> {
        self.ask_for(name, config)?
            .body()
            .with_context(|| format!("cannot create {name}"))?;
        Ok(())
    }

    /// Deletes a connector, as the Java project's `stop` does.
    ///
    /// # Errors
    /// It was refused.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.done(&format!("/connectors/{name}/stop"))
    }

    /// Pauses a connector.
    ///
    /// # Errors
    /// It was refused.
    pub fn pause(&self, name: &str) -> Result<()> {
        self.done(&format!("/connectors/{name}/pause"))
    }

    /// Lets a connector go on.
    ///
    /// # Errors
    /// It was refused.
    pub fn resume(&self, name: &str) -> Result<()> {
        self.done(&format!("/connectors/{name}/resume"))
    }

    /// Names of all connectors, sorted.
    ///
    /// # Errors
    /// No list came back.
    pub fn connectors(&self) -> Result<Vec<String>> {
        let body = self.get("/connectors/list")?.body()?;
        let list: &Map<String, Value> = body.as_object().context("the list is no object")?;
        let mut names: Vec<String> = list.keys().cloned().collect();
        names.sort();
        Ok(names)
    }

    /// What a connector was told to do.
    ///
    /// # Errors
    /// There is no such connector.
    pub fn config(&self, name: &str) -> Result<Value> {
        let body = self.get(&format!("/connectors/{name}/config"))?.body()?;
        body.get("config")
            .cloned()
            .with_context(|| format!("no config in {body}"))
    }

    /// State of the connector itself.
    ///
    /// # Errors
    /// There is no such connector.
    pub fn connector(&self, name: &str) -> Result<Condition> {
        let body = self.get(&format!("/connectors/{name}/status"))?.body()?;
        condition(
            body.get("connector")
                .context("a status without connector")?,
        )
    }

    /// States of its tasks, by number.
    ///
    /// # Errors
    /// There is no such connector.
    pub fn tasks(&self, name: &str) -> Result<Vec<Condition>> {
        let body = self.get(&format!("/connectors/{name}/status"))?.body()?;
        let tasks = body.get("tasks").and_then(Value::as_array);
        tasks
            .context("a status without tasks")?
            .iter()
            .map(condition)
            .collect()
    }

    /// Whether the worker can do its work; else what stands in the way.
    ///
    /// # Errors
    /// No answer.
    pub fn readiness(&self) -> Result<Result<(), String>> {
        let answer = self.get("/health/ready")?;
        if answer.status == 200 {
            Ok(Ok(()))
        } else {
            answer.refusal().map(Err)
        }
    }

    fn done(&self, path: &str) -> Result<()> {
        self.get(path)?
            .body()
            .with_context(|| format!("{path} was refused"))?;
        Ok(())
    }
}

fn answer(response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
    let status = response.status().as_u16();
    let text = response
        .into_body()
        .read_to_string()
        .context("an answer that is no text")?;
    Ok(Answer { status, text })
}

fn condition(json: &Value) -> Result<Condition> {
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
    let state = text("state").with_context(|| format!("no state in {json}"))?;
    // Java's name for it, which holds our reason.
    Ok(Condition {
        state,
        reason: text("trace").unwrap_or_default(),
    })
}
