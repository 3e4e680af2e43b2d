//! What all kinds of resources have in common at the edge: one is read, replaced and deleted by its
//! name. Creating and listing differ, and stand with each kind.

/// Writes the handlers `get`, `update` and `delete` of a kind. The words are what its documentation
/// says: `an image`, `one image`; what is deleted, and what becomes of its users.
macro_rules! operations {
    (
        $shape:ident, $tag:literal, $path:literal,
        get: $get:ident $get_id:literal $get_words:literal,
        update: $update:ident $update_id:literal $update_words:literal,
        delete: $delete:ident $delete_id:literal $delete_words:literal $(,)?
    ) => {
        #[utoipa::path(get, path = $path, tag = $tag, operation_id = $get_id,
                    summary = $get_words, params($crate::http::openapi::GetParameters),
                    responses((status = 200, body = dispatch_wire::$shape),
                        $crate::http::openapi::Problems))]
        async fn get(
            caller: $crate::app::Caller,
            axum::extract::State(app): axum::extract::State<std::sync::Arc<$crate::app::App>>,
            axum::extract::Path(name): axum::extract::Path<String>,
            one: $crate::http::One,
        ) -> $crate::http::ApiResult<axum::response::Response> {
            let found = app.$get(&caller, &name).await?;
            $crate::http::reply::got::<dispatch_wire::$shape>(&one, &found)
        }

        #[utoipa::path(put, path = $path, tag = $tag, operation_id = $update_id,
                    summary = $update_words, params($crate::http::openapi::PutParameters),
                    request_body = dispatch_wire::$shape,
                    responses((status = 200, body = dispatch_wire::$shape),
                        $crate::http::openapi::Problems))]
        async fn update(
            caller: $crate::app::Caller,
            axum::extract::State(app): axum::extract::State<std::sync::Arc<$crate::app::App>>,
            axum::extract::Path(name): axum::extract::Path<String>,
            one: $crate::http::One,
            $crate::http::Body(shape): $crate::http::Body<dispatch_wire::$shape>,
        ) -> $crate::http::ApiResult<axum::response::Response> {
            let updated = app.$update(&caller, &name, shape, one.precondition).await?;
            let status = axum::http::StatusCode::OK;
            Ok($crate::http::reply::one::<dispatch_wire::$shape>(status, &updated))
        }

        #[utoipa::path(delete, path = $path, tag = $tag, operation_id = $delete_id,
                    summary = $delete_words, params($crate::http::openapi::DeleteParameters),
                    responses((status = 200, body = dispatch_wire::$shape),
                        $crate::http::openapi::Problems))]
        async fn delete(
            caller: $crate::app::Caller,
            axum::extract::State(app): axum::extract::State<std::sync::Arc<$crate::app::App>>,
            axum::extract::Path(name): axum::extract::Path<String>,
            one: $crate::http::One,
        ) -> $crate::http::ApiResult<axum::response::Response> {
            let deleted = app.$delete(&caller, &name, one.deletion()).await?;
            Ok($crate::http::reply::deleted::<dispatch_wire::$shape>(&deleted))
        }
    };
}
pub(crate) use operations;
