//! Whether a function's policy lets an API invoke it. Pure.
//! Source: AWS Lambda Developer Guide, "Viewing resource-based IAM policies in Lambda".

use serde_json::Value;

/// Returns true if one of the statements lets API Gateway invoke the function for this request, `arn:aws:execute-api:…`.
pub(super) fn allowed(statements: &[Value], request: &str) -> bool {
    statements.iter().any(|one| {
        let source = &one["Condition"]["ArnLike"]["AWS:SourceArn"];
        one["Principal"]["Service"] == "apigateway.amazonaws.com"
            && one["Action"] == "lambda:InvokeFunction"
            && source.as_str().is_none_or(|pattern| like(pattern, request))
    })
}

/// `ArnLike`: a star stands for any characters.
fn like(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_api_that_the_policy_names_may_invoke() {
        let arn = "arn:aws:execute-api:eu-west-1:111111111111:abc/$default/GET/notes";
        let statement = |source: &str| {
            json!({"Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "lambda:InvokeFunction",
                   "Condition": {"ArnLike": {"AWS:SourceArn": source}}})
        };
        let own = "arn:aws:execute-api:eu-west-1:111111111111:abc/*/*";
        let other = "arn:aws:execute-api:eu-west-1:111111111111:abd/*/*";
        assert!(allowed(&[statement(other), statement(own)], arn));
        assert!(!allowed(&[statement(other)], arn));
        assert!(!allowed(&[], arn));
        assert!(like("a*c*e", "abcde") && !like("a*c*e", "abde") && !like("abc", "abcd"));
    }
}
