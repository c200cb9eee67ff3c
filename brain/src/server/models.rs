//! `ganglion.v1.Models`: who may change models, and how orders are answered.

use crate::bundle::BundleError;
use crate::models::{Desk, DeskError, Report, reports};
use ganglion_proto::v1::models_server::Models;
use ganglion_proto::v1::{
    CanaryModelRequest, Drift, ListModelsRequest, ModelList, RollbackModelRequest, ServedModel, ShadowModelRequest,
    Stability, UseModelRequest, shadow_model_request,
};
use std::path::PathBuf;
use std::sync::Arc;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status};

/// Inputs and scores named in the list.
const LARGEST: usize = 10;
/// Longer paths are none, in bytes.
const PATH: usize = 4_096;

/// The service.
#[derive(Clone)]
pub struct ModelServer(pub Arc<Desk>);

#[tonic::async_trait]
impl Models for ModelServer {
    async fn list(&self, _: Request<ListModelsRequest>) -> Result<Response<ModelList>, Status> {
        Ok(Response::new(list(&self.0)))
    }

    async fn r#use(&self, request: Request<UseModelRequest>) -> Result<Response<ModelList>, Status> {
        authorise(&request)?;
        let folders = folders(request.into_inner().bundles)?;
        self.order(|desk| async move { desk.seat(folders).await }).await
    }

    async fn shadow(&self, request: Request<ShadowModelRequest>) -> Result<Response<ModelList>, Status> {
        authorise(&request)?;
        match request.into_inner().of {
            Some(shadow_model_request::Of::Bundle(bundle)) => {
                let folder = folder(bundle)?;
                self.order(|desk| async move { desk.shadow(folder).await }).await
            }
            Some(shadow_model_request::Of::Off(name)) => {
                let name = Some(name).filter(|name| !name.is_empty());
                self.order(|desk| async move { desk.no_shadow(name.as_deref()).await }).await
            }
            None => Err(Status::invalid_argument("neither a bundle nor a shadow that is to go")),
        }
    }

    async fn canary(&self, request: Request<CanaryModelRequest>) -> Result<Response<ModelList>, Status> {
        authorise(&request)?;
        let CanaryModelRequest { bundles, share } = request.into_inner();
        if bundles.is_empty() {
            return self.order(|desk| async move { desk.no_canary().await }).await;
        }
        let folders = folders(bundles)?;
        self.order(|desk| async move { desk.canary(folders, share).await }).await
    }

    async fn rollback(&self, request: Request<RollbackModelRequest>) -> Result<Response<ModelList>, Status> {
        authorise(&request)?;
        self.order(|desk| async move { desk.roll_back().await }).await
    }
}

impl ModelServer {
    /// Carries an order out to its end, whether or not the caller waits for it: half a change is none.
    async fn order<F>(&self, order: impl FnOnce(Arc<Desk>) -> F) -> Result<Response<ModelList>, Status>
    where
        F: Future<Output = Result<(), DeskError>> + Send + 'static,
    {
        let done = tokio::spawn(order(Arc::clone(&self.0))).await;
        done.map_err(|error| Status::internal(error.to_string()))?.map_err(status)?;
        Ok(Response::new(list(&self.0)))
    }
}

/// Lets root and the brain's own user change models. A loopback connection says nothing of who is behind it.
fn authorise<T>(request: &Request<T>) -> Result<(), Status> {
    let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    match peer.map(|peer| peer.uid()) {
        Some(uid) if uid == 0 || uid == nix::unistd::geteuid().as_raw() => Ok(()),
        Some(uid) => Err(Status::permission_denied(format!(
            "user {uid} may list models; to change them takes root or the brain's own user"
        ))),
        None => Err(Status::permission_denied("models are changed over the brain's unix socket alone")),
    }
}

fn folders(bundles: Vec<String>) -> Result<Vec<PathBuf>, Status> {
    bundles.into_iter().map(folder).collect()
}

fn folder(bundle: String) -> Result<PathBuf, Status> {
    match bundle.starts_with('/') && bundle.len() <= PATH {
        true => Ok(bundle.into()),
        false => Err(Status::invalid_argument("a bundle is named by the absolute path of its folder")),
    }
}

fn status(error: DeskError) -> Status {
    let text = error.to_string();
    match error {
        DeskError::Refused(_) | DeskError::Bundle(BundleError::Untrusted { .. }) => Status::failed_precondition(text),
        DeskError::Bundle(_) => Status::invalid_argument(text),
        DeskError::Stopping => Status::unavailable(text),
        DeskError::Missing | DeskError::Loading(_) => Status::internal(text),
    }
}

fn list(desk: &Desk) -> ModelList {
    let layout = desk.layout();
    ModelList {
        models: reports(&layout).into_iter().map(served).collect(),
        active: layout.now.name(),
        can_roll_back: layout.previous.is_some(),
    }
}

fn served(report: Report) -> ServedModel {
    let (card, drift) = (report.card, report.drift);
    let largest = drift.all.iter().take(LARGEST).map(|s| Stability { of: s.of.clone(), index: s.index }).collect();
    ServedModel {
        name: card.name.clone(),
        digest: card.digest.clone(),
        folder: card.folder.display().to_string(),
        trust: card.trust.label().into(),
        signed_by: card.trust.key().unwrap_or_default().into(),
        role: report.role.into(),
        share: report.share,
        provider: card.provider.into(),
        rows: report.rows,
        failures: report.failures,
        p50_us: report.p50_us,
        p99_us: report.p99_us,
        batch_rows: report.batch_rows,
        alike: report.agreement.0,
        unlike: report.agreement.1,
        drift: Some(Drift {
            rows: drift.rows,
            window_s: drift.window_s,
            inputs: drift.inputs,
            scores: drift.scores,
            largest,
        }),
    }
}
