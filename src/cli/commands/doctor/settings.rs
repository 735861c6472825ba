//! The settings and their sources.

use std::path::PathBuf;

use serde::Serialize;

use super::Args;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::diagnosis::{Form, Line};
use crate::cli::render::format::json;
use crate::cli::terminal::Ui;
use crate::config::{Setting, Settings, Source};

impl Args {
    pub(crate) fn settings_line(&self, ui: &Ui) -> Line {
        match self.all_settings(ui) {
            Ok(settings) => {
                let told = settings.iter().map(|row| format!("{} {} ({})", row.setting, row.value, row.source));
                Line::ok("settings", told.collect::<Vec<_>>().join("; "))
            }
            Err(failure) => Line::fail("settings", &failure, "correct config.toml"),
        }
    }

    pub(crate) fn print_settings(&self, ui: &Ui) -> Outcome {
        let rows = self.all_settings(ui)?;
        if self.format == Form::Json {
            return Ok(ui.data_verbatim(&json(&rows))?);
        }
        let name = rows.iter().map(|row| row.setting.len()).max().unwrap_or_default();
        let told = rows.iter().map(|row| format!("{:<name$}  {} ({})", row.setting, row.value, row.source));
        Ok(ui.data(&told.collect::<Vec<_>>().join("\n"))?)
    }

    fn all_settings(&self, ui: &Ui) -> Result<Vec<Row>, Failure> {
        let connection = self.registry.connect(ui);
        let Settings { home, store, credential_store, .. } = ui.surroundings.settings(self.store.store.as_deref())?;
        let path = |setting: &'static str, found: Setting<PathBuf>| Row {
            setting,
            value: found.value.display().to_string(),
            source: found.source.to_string(),
        };
        let (registry, by) =
            self.said(&connection)?.unwrap_or_else(|| ("the cluster's".to_owned(), Source::Default.to_string()));
        let (files, source) = connection.cluster.kubeconfigs();
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let (progress, because) = ui.progress_setting();
        Ok(vec![
            path("home", home),
            path("store", store),
            Row { setting: "registry", value: registry, source: by },
            Row { setting: "kubeconfig", value: files.join(":"), source: source.to_string() },
            Row {
                setting: "credential store",
                value: credential_store.value.to_string(),
                source: credential_store.source.to_string(),
            },
            Row { setting: "progress", value: progress.to_owned(), source: because.to_string() },
        ])
    }
}

/// A setting as it is printed.
#[derive(Serialize)]
struct Row {
    setting: &'static str,
    value: String,
    source: String,
}
