//! The OpenAPI document, made of the table of routes and of the types themselves.
//!
//! `reckon/v1` has a JSON Schema already, made by `schemars`; OpenAPI 3.1 takes the same schemas. So no second description of
//! every type is derived (`utoipa`), and the document is put together here, from what the router is made of.

use crate::caller::Needed;
use crate::query::{Count, Parameter};
use crate::refusal::Details;
use crate::routes::{self, Route};
use axum::response::IntoResponse;
use http::header;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The schema of a type, once there is a generator.
type Make = fn(&mut SchemaGenerator) -> Schema;

/// What a route takes.
#[derive(Clone, Copy)]
pub(crate) struct Body(Make);

impl Body {
    pub(crate) fn of<T: JsonSchema>() -> Body {
        Body(SchemaGenerator::subschema_for::<T>)
    }
}

/// What a route answers when all is well.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// 200 with JSON.
    Json(Make),
    /// 201 with JSON.
    Created(Make),
    /// 200 with text.
    Text,
    /// 200 with server-sent events.
    Events,
    /// 204.
    Nothing,
    /// 101: a WebSocket.
    Upgraded,
}

impl Answer {
    pub(crate) fn json<T: JsonSchema>() -> Answer {
        Answer::Json(SchemaGenerator::subschema_for::<T>)
    }

    pub(crate) fn created<T: JsonSchema>() -> Answer {
        Answer::Created(SchemaGenerator::subschema_for::<T>)
    }

    fn described(self, generator: &mut SchemaGenerator) -> (&'static str, Value) {
        let of = |kind: &str, schema: Value| json!({"description": "Done", "content": {kind: {"schema": schema}}});
        match self {
            Answer::Json(make) => ("200", of("application/json", make(generator).to_value())),
            Answer::Created(make) => ("201", of("application/json", make(generator).to_value())),
            Answer::Text => ("200", of("text/plain", json!({"type": "string"}))),
            Answer::Events => ("200", of("text/event-stream", json!({"type": "string"}))),
            Answer::Nothing => ("204", json!({"description": "Done"})),
            Answer::Upgraded => ("101", json!({"description": "A WebSocket"})),
        }
    }
}

/// The document, as `docs/openapi.json` has it.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let refused = generator.subschema_for::<Details>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes::all() {
        let described = operation(&route, &mut generator);
        let at = paths.entry(route.path).or_insert_with(|| json!({}));
        at[route.method.as_str().to_ascii_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Reckon",
            "version": "v1",
            "description": "The record of clusters: what happened, when, and who did it. Additive changes only within v1.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Refused": {
                "description": "Not done; the code says why",
                "content": {"application/problem+json": {"schema": refused}},
            }},
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let (status, answer) = route.answer.described(generator);
    let mut operation = json!({
        "summary": route.about,
        "responses": {status: answer, "default": {"$ref": "#/components/responses/Refused"}},
        "security": match route.needed {
            Needed::Nothing => json!([]),
            _ => json!([{"token": []}]),
        },
    });
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(route.parameters.iter().flat_map(|some| some.iter()).map(parameter));
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(Body(make)) = route.body {
        let content = json!({"application/json": {"schema": make(generator).to_value()}});
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let Parameter { name, about, count } = parameter;
    let text = json!({"type": "string"});
    json!({
        "name": name,
        "in": "query",
        "description": about,
        "required": *count == Count::Needed,
        "schema": if *count == Count::Many { json!({"type": "array", "items": text}) } else { text },
    })
}

pub(crate) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document().to_string())
}
