//! The credential in environment variables.

use super::{Answer, Credential, CredentialError, CredentialSource, Secret, SecretOrigin};

/// The user name sent with a token that came without one: registries that take a token as Basic
/// password, as Gitea does, accept any.
pub const ANY_USERNAME: &str = "token";

/// The variables that hold secrets of ours; no program that we start inherits them.
pub const SECRET_VARIABLES: [&str; 8] = [
    "IDPBUILDER_REGISTRY_TOKEN",
    "IDPBUILDER_REGISTRY_PASSWORD",
    "GITEA_TOKEN",
    "GITEA_PASSWORD",
    "REGISTRY_PASSWORD",
    "IDPBUILDER_FROM_TOKEN",
    "IDPBUILDER_FROM_PASSWORD",
    "DOCKER_AUTH_CONFIG",
];

/// A set of variables. A secret is never combined with a user name of another set.
struct Set {
    origin: SecretOrigin,
    usernames: &'static [&'static str],
    token: Option<&'static str>,
    password: &'static str,
}

/// The sets in order: the first with any variable decides, among those that the registry may see.
const SETS: [Set; 4] = [
    Set {
        origin: SecretOrigin::BaseVariables,
        usernames: &["IDPBUILDER_FROM_USERNAME"],
        token: Some("IDPBUILDER_FROM_TOKEN"),
        password: "IDPBUILDER_FROM_PASSWORD",
    },
    Set {
        origin: SecretOrigin::Variables,
        usernames: &["IDPBUILDER_REGISTRY_USERNAME", "IDPBUILDER_REGISTRY_USER"],
        token: Some("IDPBUILDER_REGISTRY_TOKEN"),
        password: "IDPBUILDER_REGISTRY_PASSWORD",
    },
    Set {
        origin: SecretOrigin::GiteaVariables,
        usernames: &["GITEA_USERNAME"],
        token: Some("GITEA_TOKEN"),
        password: "GITEA_PASSWORD",
    },
    Set {
        origin: SecretOrigin::Variables,
        usernames: &["REGISTRY_USERNAME"],
        token: None,
        password: "REGISTRY_PASSWORD",
    },
];

/// The values of one set of variables.
#[derive(Debug)]
struct Values {
    origin: SecretOrigin,
    usernames: &'static [&'static str],
    secrets: Vec<&'static str>,
    username: Option<(&'static str, String)>,
    secret: Option<(&'static str, Secret)>,
    is_token: bool,
    /// The variables for a token and a password, where the first is there and empty and the second is not.
    instead: Option<(&'static str, &'static str)>,
}

/// A credential from one set of variables.
#[derive(Debug)]
pub struct Environment {
    values: Option<Values>,
}

impl Environment {
    /// Reads the variables through `variable`, which answers `None` for one that is unset; an empty one counts as
    /// unset, but for a token beside a password. Returns a source for each set of which a variable is there, in their
    /// order, and one that has nothing where there is no such set.
    pub fn sources(variable: impl Fn(&str) -> Option<String>) -> Vec<Self> {
        let sets = SETS.iter().map(|set| Values::read(set, &variable)).filter(Values::any);
        let mut sources: Vec<_> = sets.map(|values| Self { values: Some(values) }).collect();
        if sources.is_empty() {
            sources.push(Self { values: None });
        }
        sources
    }
}

impl Values {
    fn read(set: &Set, raw: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| raw(name).filter(|value| !value.is_empty());
        let username = set.usernames.iter().find_map(|name| variable(name).map(|value| (*name, value)));
        let secret = |name: &'static str| variable(name).map(|value| (name, Secret::new(value)));
        let token = set.token.and_then(secret);
        let empty = set.token.filter(|name| raw(name).is_some_and(|value| value.is_empty()));
        let instead = empty.zip(variable(set.password).map(|_| set.password));
        Self {
            instead,
            origin: set.origin,
            usernames: set.usernames,
            secrets: set.token.into_iter().chain([set.password]).collect(),
            username,
            is_token: token.is_some(),
            secret: token.or_else(|| secret(set.password)),
        }
    }

    fn any(&self) -> bool {
        self.username.is_some() || self.secret.is_some()
    }

    fn answer(&self) -> Answer {
        let quote = |name: &&str| format!("`{name}`");
        if let Some((token, password)) = self.instead {
            return Answer::Failed(CredentialError::EmptyToken { token, password });
        }
        match (&self.username, &self.secret) {
            (None, None) => Answer::NotFound,
            (Some((_, username)), Some((_, secret))) => {
                Answer::Found(Credential::Basic { username: username.clone(), secret: secret.clone() })
            }
            (None, Some((_, secret))) if self.is_token => {
                Answer::Found(Credential::Basic { username: ANY_USERNAME.into(), secret: secret.clone() })
            }
            (Some((name, _)), None) => Answer::Failed(CredentialError::MissingSecret {
                username: quote(name),
                secrets: self.secrets.iter().map(quote).collect(),
            }),
            (None, Some((name, _))) => Answer::Failed(CredentialError::MissingUsername {
                secret: quote(name),
                usernames: self.usernames.iter().map(quote).collect(),
            }),
        }
    }
}

impl CredentialSource for Environment {
    fn name(&self) -> String {
        let Some(values) = &self.values else { return "the environment".into() };
        let username = values.username.as_ref().map(|(name, _)| *name);
        let secret = values.secret.as_ref().map(|(name, _)| *name);
        let names: Vec<_> = username.into_iter().chain(secret).collect();
        format!("the environment ({})", names.join(", "))
    }

    fn origin(&self) -> SecretOrigin {
        // Without a variable, no secret is withheld.
        self.values.as_ref().map_or(SecretOrigin::NamedEntry, |values| values.origin)
    }

    fn find(&self, _registry: &str, _repository: &str) -> Answer {
        self.values.as_ref().map_or(Answer::NotFound, Values::answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(variables: &[(&str, &str)]) -> Vec<Environment> {
        Environment::sources(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    /// The first source's name and `user secret`, or the error's text.
    fn outcome(variables: &[(&str, &str)]) -> (String, String) {
        let environment = sources(variables).remove(0);
        let shown = format!("{environment:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        let text = match environment.find("r", "") {
            Answer::Found(Credential::Basic { username, secret }) => format!("{username} {}", secret.expose()),
            Answer::NotFound => "nothing".into(),
            Answer::Failed(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        (environment.name(), text)
    }

    #[test]
    fn sets_are_looked_at_in_order() {
        let all = [
            ("REGISTRY_USERNAME", "r"),
            ("REGISTRY_PASSWORD", "hunter6"),
            ("GITEA_USERNAME", "g"),
            ("GITEA_PASSWORD", "hunter5"),
            ("GITEA_TOKEN", "hunter4"),
            ("IDPBUILDER_REGISTRY_PASSWORD", "hunter3"),
            ("IDPBUILDER_REGISTRY_TOKEN", "hunter2"),
            ("IDPBUILDER_REGISTRY_USER", "short"),
            ("IDPBUILDER_REGISTRY_USERNAME", "long"),
            ("IDPBUILDER_FROM_PASSWORD", "hunter8"),
            ("IDPBUILDER_FROM_USERNAME", "f"),
            ("IDPBUILDER_FROM_TOKEN", "hunter7"),
        ];
        let expected = [
            (12, "IDPBUILDER_FROM_USERNAME, IDPBUILDER_FROM_TOKEN", "f hunter7"),
            (11, "IDPBUILDER_FROM_USERNAME, IDPBUILDER_FROM_PASSWORD", "f hunter8"),
            (9, "IDPBUILDER_REGISTRY_USERNAME, IDPBUILDER_REGISTRY_TOKEN", "long hunter2"),
            (8, "IDPBUILDER_REGISTRY_USER, IDPBUILDER_REGISTRY_TOKEN", "short hunter2"),
            (7, "IDPBUILDER_REGISTRY_TOKEN", "token hunter2"),
            (5, "GITEA_USERNAME, GITEA_TOKEN", "g hunter4"),
            (4, "GITEA_USERNAME, GITEA_PASSWORD", "g hunter5"),
            (2, "REGISTRY_USERNAME, REGISTRY_PASSWORD", "r hunter6"),
        ];
        for (count, names, text) in expected {
            let (name, found) = outcome(&all[..count]);
            assert_eq!((name.as_str(), found.as_str()), (&*format!("the environment ({names})"), text));
        }
        assert_eq!(outcome(&[]), ("the environment".into(), "nothing".into()));
    }

    #[test]
    fn half_a_credential_names_the_missing_variable() {
        let errors = [
            (
                ("GITEA_USERNAME", "g"),
                "`GITEA_USERNAME` names a user, but there is no `GITEA_TOKEN` or `GITEA_PASSWORD`",
            ),
            (("REGISTRY_USERNAME", "r"), "`REGISTRY_USERNAME` names a user, but there is no `REGISTRY_PASSWORD`"),
            (
                ("IDPBUILDER_REGISTRY_PASSWORD", "hunter2"),
                "`IDPBUILDER_REGISTRY_PASSWORD` is given, but there is no `IDPBUILDER_REGISTRY_USERNAME` or \
                 `IDPBUILDER_REGISTRY_USER`",
            ),
        ];
        for (variable, text) in errors {
            assert_eq!(outcome(&[variable]).1, text);
        }
    }

    #[test]
    fn an_empty_token_is_not_silently_a_password() {
        let both = [("GITEA_USERNAME", "g"), ("GITEA_TOKEN", ""), ("GITEA_PASSWORD", "hunter5")];
        assert_eq!(outcome(&both).1, "`GITEA_TOKEN` is empty; `GITEA_PASSWORD` is not used in its place");
        assert_eq!(outcome(&[("GITEA_TOKEN", ""), ("GITEA_PASSWORD", ""), ("GITEA_USERNAME", "")]).1, "nothing");
        assert_eq!(
            outcome(&[("GITEA_TOKEN", ""), ("REGISTRY_USERNAME", "r"), ("REGISTRY_PASSWORD", "hunter6")]).1,
            "r hunter6"
        );
    }

    #[test]
    fn every_variable_that_holds_a_secret_is_known_as_one() {
        for name in SETS.iter().flat_map(|set| set.token.into_iter().chain([set.password])) {
            assert!(SECRET_VARIABLES.contains(&name), "{name}");
        }
    }

    #[test]
    fn each_set_is_a_source_with_its_origin() {
        let variables = [
            ("REGISTRY_PASSWORD", "hunter6"),
            ("GITEA_TOKEN", "hunter4"),
            ("IDPBUILDER_REGISTRY_TOKEN", "hunter2"),
            ("IDPBUILDER_FROM_TOKEN", "hunter7"),
        ];
        let origins = |variables| sources(variables).iter().map(Environment::origin).collect::<Vec<_>>();
        let expected = [
            SecretOrigin::BaseVariables,
            SecretOrigin::Variables,
            SecretOrigin::GiteaVariables,
            SecretOrigin::Variables,
        ];
        assert_eq!(origins(&variables), expected);
        assert_eq!(origins(&[]), [SecretOrigin::NamedEntry]);
    }

    #[test]
    fn sets_are_never_mixed() {
        let (_, text) =
            outcome(&[("GITEA_USERNAME", "g"), ("REGISTRY_USERNAME", "r"), ("REGISTRY_PASSWORD", "hunter2")]);
        assert!(text.starts_with("`GITEA_USERNAME` names a user"), "{text}");
    }
}
