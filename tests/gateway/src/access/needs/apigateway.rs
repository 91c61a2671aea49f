//! API Gateway's actions are the methods of its control API, on the path as the resource.
//! Source: Service Authorization Reference, "Amazon API Gateway Management V2".

use super::{Need, Scene};

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    scene.call.input.as_ref()?;
    let path = crate::text::percent_decode(&scene.call.path);
    let rest = path.strip_prefix("/v2")?;
    let resource = format!("arn:aws:apigateway:{}::{rest}", scene.call.region);
    Some(vec![scene.need(scene.call.method.as_str(), resource)])
}
