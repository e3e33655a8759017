//! A browser without a window, which a test looks at a page with.
//!
//! It is told what to do in JSON with a zero byte after each message (the Chrome DevTools Protocol), over its file
//! descriptors 3 and 4.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// As it is called on Debian, elsewhere, and by its maker.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// A shell can give a program descriptors that Rust cannot without `unsafe`.
const SHELL: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// One page in a browser of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    calls: u64,
    session: Option<String>,
}

impl Browser {
    /// Opens `url`; what the browser keeps goes below `folder`.
    ///
    /// # Errors
    /// When there is no browser: the words say which to install.
    pub async fn open(url: &str, folder: &Path) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SHELL, "sh"]).arg(binary()?);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
        ]);
        command.arg(format!("--user-data-dir={}", folder.join("browser").display())).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start the browser")?;
        let input = child.stdin.take().context("no pipe to the browser")?;
        let output = BufReader::new(child.stdout.take().context("no pipe from the browser")?);
        let mut browser = Self { _child: child, input, output, calls: 0, session: None };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach).await?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.call("Runtime.enable", json!({})).await?;
        browser.call("Page.navigate", json!({ "url": url })).await?;
        Ok(browser)
    }

    /// The value of a JavaScript expression on the page.
    ///
    /// # Errors
    /// When it throws, or something on the page has thrown since the last call.
    pub async fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let evaluate = json!({ "expression": expression, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", evaluate).await?;
        ensure!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        Ok(answer["result"]["value"].take())
    }

    /// The text of the first element that `selector` finds, empty where there is none.
    ///
    /// # Errors
    /// When something on the page has thrown.
    pub async fn text(&mut self, selector: &str) -> Result<String> {
        let text = self.evaluate(&format!("document.querySelector({selector:?})?.innerText ?? ''")).await?;
        Ok(text.as_str().unwrap_or_default().trim().to_owned())
    }

    /// Makes the page this large, in CSS pixels, and light or dark.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn show(&mut self, width: u32, height: u32, scheme: &str) -> Result<()> {
        let is_phone = width < 600;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.call("Emulation.setDeviceMetricsOverride", size).await?;
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", scheme).await.map(drop)
    }

    /// A picture of what is shown, as PNG.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn picture(&mut self) -> Result<Vec<u8>> {
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        Ok(STANDARD.decode(picture["data"].as_str().context("no picture")?)?)
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let text = message.to_string() + "\0";
        self.input.write_all(text.as_bytes()).await.context("the browser is gone")?;
        loop {
            let mut message = Vec::new();
            self.output.read_until(0, &mut message).await?;
            ensure!(message.pop() == Some(0), "the browser is gone, at {method}");
            let mut message: Value = serde_json::from_slice(&message)?;
            if message["method"] == "Runtime.exceptionThrown" {
                bail!("the page has thrown: {}", message["params"]["exceptionDetails"]);
            }
            if message["id"] == self.calls {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].take());
            }
        }
    }
}

/// That of `CHROMIUM`, or the first on the path.
fn binary() -> Result<PathBuf> {
    if let Some(chosen) = env::var_os("CHROMIUM").filter(|chosen| !chosen.is_empty()) {
        return Ok(chosen.into());
    }
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let candidates = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.context("no browser to look at the dashboard with: install chromium (Debian: apt-get install chromium), or set CHROMIUM")
}
