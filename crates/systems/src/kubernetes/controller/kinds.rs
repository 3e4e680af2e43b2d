//! What the controller watches.

use super::super::api::Kind;

macro_rules! kinds {
    ($($name:ident $version:literal $kind:literal $plural:literal;)*) => {
        $(pub const $name: Kind = Kind { version: $version, name: $kind, plural: $plural };)*
        pub const ALL: &[Kind] = &[$($name),*];
    };
}

kinds! {
    NODES "v1" "Node" "nodes";
    PODS "v1" "Pod" "pods";
    SERVICES "v1" "Service" "services";
    ENDPOINTS "v1" "Endpoints" "endpoints";
    DEPLOYMENTS "apps/v1" "Deployment" "deployments";
    AUTOSCALERS "autoscaling/v1" "HorizontalPodAutoscaler" "horizontalpodautoscalers";
    INGRESSES "networking.k8s.io/v1" "Ingress" "ingresses";
    KNATIVE_SERVICES "serving.knative.dev/v1" "Service" "services";
    CONFIGURATIONS "serving.knative.dev/v1" "Configuration" "configurations";
    REVISIONS "serving.knative.dev/v1" "Revision" "revisions";
    ROUTES "serving.knative.dev/v1" "Route" "routes";
    CORE_DEPLOYERS "core.projectriff.io/v1alpha1" "Deployer" "deployers";
    KNATIVE_DEPLOYERS "knative.projectriff.io/v1alpha1" "Deployer" "deployers";
}

/// Of which one makes further kinds.
pub const DEFINITIONS: Kind = Kind {
    version: "apiextensions.k8s.io/v1",
    name: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
};
