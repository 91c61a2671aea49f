//! The route that a request takes. Pure.
//! Source: Amazon API Gateway Developer Guide, "Create routes for HTTP APIs", "Routing API requests".

use serde_json::{Map, Value};

/// A route key that a request fits, and how well.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// The most specific one wins: full paths before `{proxy+}`, methods before `ANY`, and all before `$default`.
    rank: (u8, usize, u8),
    pub(super) parameters: Map<String, Value>,
}

/// The best of the route keys for a request.
pub(super) fn best<'a, T>(
    routes: impl Iterator<Item = (&'a str, T)>,
    method: &str,
    path: &str,
) -> Option<(&'a str, T, Fit)> {
    let fitting = routes.filter_map(|(key, route)| Some((key, route, fit(key, method, path)?)));
    fitting.max_by_key(|(_, _, fit)| fit.rank)
}

fn fit(key: &str, method: &str, path: &str) -> Option<Fit> {
    if key == "$default" {
        return Some(Fit {
            rank: (0, 0, 0),
            parameters: Map::new(),
        });
    }
    let (wanted, pattern) = key.split_once(' ')?;
    let exact = u8::from(wanted == method);
    if wanted != "ANY" && exact == 0 {
        return None;
    }
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let pattern: Vec<&str> = pattern.trim_end_matches('/').split('/').collect();
    let (mut parameters, mut literal) = (Map::new(), 0);
    for (at, wanted) in pattern.iter().enumerate() {
        let name = wanted.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        let part = parts.get(at)?;
        match name {
            Some(name) if name.ends_with('+') => {
                let rest = parts[at..].join("/");
                parameters.insert(name.trim_end_matches('+').to_owned(), rest.into());
                return Some(Fit {
                    rank: (1, literal, exact),
                    parameters,
                });
            }
            Some(name) if !part.is_empty() => {
                let value = crate::route::decoded(part);
                parameters.insert(name.to_owned(), value.into());
            }
            None if wanted == part => literal += 1,
            _ => return None,
        }
    }
    (parts.len() == pattern.len()).then_some(Fit {
        rank: (2, literal, exact),
        parameters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_route_wins() {
        let keys = [
            "$default",
            "GET /",
            "GET /notes/{name}",
            "ANY /notes/{name}",
            "ANY /{proxy+}",
            "GET /notes/all",
        ];
        for (method, path, wanted) in [
            ("GET", "/", "GET /"),
            ("GET", "/notes/a", "GET /notes/{name}"),
            ("PUT", "/notes/a", "ANY /notes/{name}"),
            ("GET", "/notes/all", "GET /notes/all"),
            ("GET", "/notes/a/b", "ANY /{proxy+}"),
            ("PUT", "/", "$default"),
        ] {
            let routes = keys.iter().map(|key| (*key, ()));
            let (key, (), _) = best(routes, method, path).unwrap();
            assert_eq!(key, wanted, "{method} {path}");
        }
        let (_, (), fit) = best(
            [("GET /notes/{name}", ())].into_iter(),
            "GET",
            "/notes/a%20b",
        )
        .unwrap();
        assert_eq!(fit.parameters["name"], "a b");
        assert!(best([("GET /a", ())].into_iter(), "GET", "/b").is_none());
    }
}
