//! `idpbuilder-trust list`.

use jiff::Timestamp;
use serde::Serialize;

use super::{Shape, Shown, names, valid_until};
use crate::app::connect::{names_in_use, other_directories, trust_store};
use crate::app::in_one_line;
use crate::cli::args::cluster::ClusterArgs;
use crate::cli::failure::advice::cluster::summary;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::render::format::{Column, Format};
use crate::cli::terminal::Ui;
use crate::ops::trust::{Kept, list, list_of_others};
use crate::text::counted;
use crate::tls::{CertificateFacts, Origin, TrustStore, certificates_of};

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// All that is trusted: also what podman's and docker's directories and the cluster have, and how many roots
    /// the system has
    #[arg(long)]
    all: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Shape::Table)]
    format: Shape,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// A certificate, or how many there are that are not worth a line each.
#[derive(Debug, Serialize)]
struct Line {
    /// The host it is trusted for; `None` for every host.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    #[serde(flatten)]
    certificate: Option<Shown>,
}

const COLUMNS: &[Column] = &[
    ("Host", "HOST"),
    ("Fingerprint", "FINGERPRINT"),
    ("Names", "NAMES"),
    ("ValidUntil", "VALID UNTIL"),
    ("From", "FROM"),
];

type Row = (Vec<String>, Line);

impl List {
    pub(crate) fn run(self, ui: &Ui) -> Outcome {
        let mut rows = Vec::new();
        add_files(ui, list(&trust_store(ui.session())?)?, &mut rows);
        if self.all {
            for root in other_directories(ui.session()) {
                match list_of_others(&root) {
                    Ok(kept) => add_files(ui, kept, &mut rows),
                    Err(error) => ui.warn(&in_one_line(&error)),
                }
            }
            self.add_cluster(ui, &mut rows)?;
            rows.push(system(ui));
        }
        let format = if self.format == Shape::Json { Format::Json } else { Format::Table };
        Ok(ui.data_verbatim(&format.render(
            COLUMNS,
            &["Host", "Fingerprint", "Names", "ValidUntil", "From"],
            &rows,
        )?)?)
    }

    fn add_cluster(&self, ui: &Ui, rows: &mut Vec<Row>) -> Result<(), Failure> {
        let connection = self.cluster.connect(ui);
        let lacking = |why: &str| ui.status(&format!("Nothing from a cluster: {why}"));
        let cluster = match connection.find()? {
            Ok(cluster) => cluster,
            Err(error) => {
                lacking(&summary(error.as_ref()));
                return Ok(());
            }
        };
        let certificate = match &cluster.certificate {
            Ok(certificate) => certificate,
            Err(error) => {
                lacking(&summary(error.as_ref()));
                return Ok(());
            }
        };
        let origin = Origin::Cluster(format!("{} ({})", certificate.origin, cluster.context));
        match certificates_of(certificate.pem.as_bytes(), &origin) {
            Ok(certificates) => {
                let names = names_in_use(ui.session(), cluster)?;
                let facts = certificates.iter().filter_map(|der| CertificateFacts::from_der(der).ok());
                for facts in facts {
                    rows.extend(names.iter().map(|host| row(host, None, &origin, facts.clone())));
                }
            }
            Err(error) => lacking(&in_one_line(&error)),
        }
        Ok(())
    }
}

fn add_files(ui: &Ui, kept: Vec<Kept>, rows: &mut Vec<Row>) {
    for Kept { host, file, certificates } in kept {
        let origin = Origin::File(file.clone());
        let file = file.display().to_string();
        match certificates {
            Ok(certificates) => {
                rows.extend(certificates.into_iter().map(|facts| row(&host, Some(&file), &origin, facts)));
            }
            Err(error) => ui.warn(&in_one_line(&error)),
        }
    }
}

fn row(host: &str, file: Option<&str>, origin: &Origin, facts: CertificateFacts) -> Row {
    let until = valid_until(facts.not_after, Timestamp::now());
    let from = file.map_or_else(|| origin.to_string(), str::to_owned);
    let values = vec![host.to_owned(), facts.fingerprint.clone(), names(&facts.names), until, from];
    let line = Line {
        host: Some(host.to_owned()),
        file: file.map(str::to_owned),
        origin: origin.to_string(),
        count: None,
        certificate: Some(facts.into()),
    };
    (values, line)
}

fn system(ui: &Ui) -> Row {
    let mut trust = TrustStore::empty();
    trust.add_system_roots(&ui.surroundings.system_roots);
    let (count, origin) = (trust.anchors().len(), Origin::System.to_string());
    let values =
        ["(every host)".to_owned(), format!("({})", counted(count, "certificate")), String::new(), String::new()];
    let values = values.into_iter().chain([origin.clone()]).collect();
    (values, Line { host: None, file: None, origin, count: Some(count), certificate: None })
}
