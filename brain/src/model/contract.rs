//! What a model's inputs and outputs must be.

use super::ModelError;
use ort::value::{Outlet, TensorElementType, ValueType};

/// Checks names, types and ranks; whether there is an embedding.
pub(super) fn check(
    inputs: &[Outlet],
    outputs: &[Outlet],
    features: usize,
    classes: usize,
) -> Result<bool, ModelError> {
    if inputs.len() != 1 {
        return Err(ModelError::Contract(format!("{} inputs, one (\"features\") is due", inputs.len())));
    }
    tensor(inputs, "features", &[None, Some(features)])?;
    tensor(outputs, "probabilities", &[None, Some(classes)])?;
    tensor(outputs, "anomaly", &[None])?;
    let embedding = outputs.iter().any(|outlet| outlet.name() == "embedding");
    if embedding {
        tensor(outputs, "embedding", &[None, None])?;
    }
    Ok(embedding)
}

/// The tensor of this name must be f32 with these dimensions; `None`, and −1 in the model, fit any.
fn tensor(outlets: &[Outlet], name: &str, dimensions: &[Option<usize>]) -> Result<(), ModelError> {
    let broken = |why: String| Err(ModelError::Contract(why));
    let Some(outlet) = outlets.iter().find(|outlet| outlet.name() == name) else {
        let names: Vec<_> = outlets.iter().map(Outlet::name).collect();
        return broken(format!("no \"{name}\" among {names:?}"));
    };
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = outlet.dtype() else {
        return broken(format!("\"{name}\" is no f32 tensor but {}", outlet.dtype()));
    };
    let fits = |found: i64, due: &Option<usize>| found < 0 || due.is_none_or(|due| found == due as i64);
    if shape.len() != dimensions.len() || !shape.iter().zip(dimensions).all(|(found, due)| fits(*found, due)) {
        let due: Vec<_> = dimensions.iter().map(|d| d.map_or("N".into(), |d| d.to_string())).collect();
        return broken(format!("\"{name}\" is {shape:?}, [{}] is due", due.join(", ")));
    }
    Ok(())
}
