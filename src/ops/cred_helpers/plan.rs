//! From what is in the files and in the record to the steps that install or uninstall.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::document::Document;
use super::files::{Content, diff, missing_directories, read, resolve};
use super::record::{Edit, Entry, Record, Records};
use super::{Change, CredHelperError, Foreign, Place, Plan, Reader, Step};
use crate::credentials::OWN_HELPER;

/// Plans to name our helper for `registries` in each file. Another helper for one of them is only replaced with
/// `force`. `home` is the program's directory.
pub fn plan_install(
    home: &Path,
    places: &[Place],
    registries: &[String],
    force: bool,
) -> Result<Plan, CredHelperError> {
    let found = Records::load(home)?;
    let mut kept = found.clone();
    let mut steps: Vec<Step> = Vec::new();
    let mut foreign = Vec::new();
    for Place { reader, path } in places {
        let target = resolve(path)?;
        if !steps.iter().any(|step| step.target == target) {
            let file = File::examine(path, target.clone())?;
            let (step, record) = file.install(found.of(&target), registries, force, &mut foreign)?;
            steps.push(step);
            if let Some(record) = record {
                kept.put(record);
            }
        }
        // Two programs may share the file.
        kept.share(&target, *reader);
    }
    if foreign.is_empty() { Ok(Plan { steps, found, kept }) } else { Err(CredHelperError::Foreign(foreign)) }
}

/// Plans to take back what [`plan_install`] planned for these readers, wherever that was, and to remove our helper from
/// the `places` where there is no record of it.
pub fn plan_uninstall(home: &Path, readers: &[Reader], places: &[Place]) -> Result<Plan, CredHelperError> {
    let found = Records::load(home)?;
    let mut kept = found.clone();
    let mut steps: Vec<Step> = Vec::new();
    for record in &found.files {
        let left: Vec<Reader> = record.readers.iter().filter(|reader| !readers.contains(reader)).copied().collect();
        if left.is_empty() {
            kept.drop_of(&record.target);
            steps.extend(File::examine(&record.path, record.target.clone())?.undo(record)?);
        } else if left != record.readers {
            kept.put(Record { readers: left, ..record.clone() });
        }
    }
    for Place { path, .. } in places {
        let target = resolve(path)?;
        if found.of(&target).is_none() && !steps.iter().any(|step| step.target == target) {
            steps.extend(File::examine(path, target)?.forget());
        }
    }
    Ok(Plan { steps, found, kept })
}

/// A file as it is.
struct File {
    path: PathBuf,
    target: PathBuf,
    content: Content,
    document: Document,
}

impl File {
    fn examine(path: &Path, target: PathBuf) -> Result<Self, CredHelperError> {
        let content = read(&target)?;
        let document = parse(content.as_ref().map_or(b"", |bytes| bytes), path)?;
        Ok(Self { path: path.to_owned(), target, content, document })
    }

    /// Names our helper. The record that is to be kept, if anything changes, has no readers yet but those it had.
    fn install(
        self,
        record: Option<&Record>,
        registries: &[String],
        force: bool,
        foreign: &mut Vec<Foreign>,
    ) -> Result<(Step, Option<Record>), CredHelperError> {
        // If the file has not changed since, the change is planned from the former text, so that one removal undoes it.
        let former = record.and_then(|record| record.edit.undone(self.document.as_str()));
        let base =
            former.as_ref().map_or_else(|| Ok(self.document.clone()), |text| parse(text.as_bytes(), &self.path))?;
        let ours = |entry: &&Entry| former.is_some() || self.has_ours(&entry.registry);
        let mut entries: Vec<Entry> = record.iter().flat_map(|record| &record.entries).filter(ours).cloned().collect();
        let mut fresh = Vec::new();
        for registry in registries.iter().filter(|registry| !self.has_ours(registry)) {
            let helper = base.helper(registry);
            match helper {
                Some(helper) if !force => {
                    foreign.push(Foreign { path: self.path.clone(), registry: registry.clone(), helper });
                }
                helper => {
                    entries.push(Entry { registry: registry.clone(), helper });
                    fresh.push(registry.clone());
                }
            }
        }
        if fresh.is_empty() {
            let record = record.is_none().then(|| self.untouched());
            return Ok((self.step(Change::Keep, fresh, None), record));
        }
        let mut document = base.clone();
        for entry in &entries {
            document.set(&entry.registry, OWN_HELPER);
        }
        let was = |fact: fn(&Record) -> bool| record.is_some_and(fact);
        let mut directories = record.map(|record| record.directories.clone()).unwrap_or_default();
        directories.retain(|made| made.is_dir());
        directories.extend(missing_directories(&self.target));
        let record = Record {
            readers: record.map(|record| record.readers.clone()).unwrap_or_default(),
            path: self.path.clone(),
            target: self.target.clone(),
            created: self.content.is_none() || was(|record| record.created),
            directories,
            helpers_created: !base.has_helpers() || was(|record| record.helpers_created),
            entries,
            edit: Edit::between(base.as_str(), document.as_str()),
        };
        let change = if self.content.is_none() { Change::Create } else { Change::Write };
        Ok((self.step(change, fresh, Some(document)), Some(record)))
    }

    /// Returns the record of a file that named our helper before the installation; uninstalling leaves it alone.
    fn untouched(&self) -> Record {
        Record {
            readers: Vec::new(),
            path: self.path.clone(),
            target: self.target.clone(),
            created: false,
            directories: Vec::new(),
            helpers_created: false,
            entries: Vec::new(),
            edit: Edit::between(self.document.as_str(), self.document.as_str()),
        }
    }

    /// Takes back what the record says; nothing where nothing of it is left.
    fn undo(self, record: &Record) -> Result<Option<Step>, CredHelperError> {
        if self.content.is_none() {
            return Ok(None);
        }
        let mut document = match record.edit.undone(self.document.as_str()) {
            Some(former) => parse(former.as_bytes(), &self.path)?,
            None => self.document.clone(),
        };
        for Entry { registry, helper } in &record.entries {
            if document.helper(registry).as_deref() == Some(OWN_HELPER) {
                match helper {
                    Some(helper) => document.set(registry, helper),
                    None => document.remove(registry),
                }
            }
        }
        if record.helpers_created {
            document.remove_empty_helpers();
        }
        let registries = record.entries.iter().map(|entry| entry.registry.clone());
        let lost = registries.filter(|registry| self.has_ours(registry)).collect();
        if record.created && document.is_empty() {
            let step = self.step(Change::Remove, lost, None);
            return Ok(Some(Step { directories: record.directories.clone(), ..step }));
        }
        Ok((document != self.document).then(|| self.step(Change::Write, lost, Some(document))))
    }

    /// Removes our helper from a file of which there is no record.
    fn forget(self) -> Option<Step> {
        let registries = self.document.registries_of(OWN_HELPER);
        if registries.is_empty() {
            return None;
        }
        let mut document = self.document.clone();
        for registry in &registries {
            document.remove(registry);
        }
        Some(self.step(Change::Write, registries, Some(document)))
    }

    fn has_ours(&self, registry: &str) -> bool {
        self.document.helper(registry).as_deref() == Some(OWN_HELPER)
    }

    fn step(self, change: Change, registries: Vec<String>, after: Option<Document>) -> Step {
        let before = self.content.is_some().then_some(&self.document);
        let diff = if change == Change::Keep { String::new() } else { diff(&self.path, before, after.as_ref()) };
        let after = after.map(|document| Zeroizing::new(document.as_str().as_bytes().to_vec()));
        let Self { path, target, content, .. } = self;
        Step { path, change, registries, diff, target, before: content, after, directories: Vec::new() }
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Document, CredHelperError> {
    Document::parse(bytes).map_err(|fault| CredHelperError::Content {
        path: path.to_owned(),
        mistake: fault.mistake,
        line: fault.line,
        column: fault.column,
    })
}
