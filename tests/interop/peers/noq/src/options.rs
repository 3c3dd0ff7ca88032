//! The words of the command line: a role, then `--name value` pairs and `--name` flags.

use std::collections::HashMap;

use crate::Failure;

/// Names that stand alone.
const FLAGS: [&str; 7] = ["exchange", "key-update", "rebind", "retry", "observe", "version-2", "await-reset"];

pub struct Options {
    pub role: String,
    values: HashMap<String, String>,
}

impl Options {
    pub fn read() -> Result<Self, Failure> {
        let mut words = std::env::args().skip(1);
        let role = words.next().ok_or("the first word is server or client")?;
        let mut values = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word} is no option"))?.to_string();
            let value = if FLAGS.contains(&name.as_str()) { String::new() } else { words.next().unwrap_or_default() };
            values.insert(name, value);
        }
        Ok(Self { role, values })
    }

    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn text(&self, name: &str) -> Result<&str, Failure> {
        self.values.get(name).map(String::as_str).ok_or_else(|| format!("--{name} is missing").into())
    }

    /// A number, 0 if it was not given.
    pub fn number(&self, name: &str) -> Result<u64, Failure> {
        self.values.get(name).map_or(Ok(0), |text| text.parse().map_err(Failure::from))
    }
}
