//! What kinds of resources have in common at the edge: one is read, replaced and deleted by its
//! name; most are also created and listed alike.

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

/// Writes the handlers `create` and `list` of a kind, and `Fields`: the parameters by which a list
/// of it selects, beside those of all lists.
macro_rules! collection {
    (
        $shape:ident, $tag:literal, $path:literal, { $($field:literal $field_words:literal),* },
        create: $create:ident $status:literal $reason:ident
            $create_id:literal $create_words:literal,
        list: $list:ident $list_id:literal $list_words:literal $(,)?
    ) => {
        pub struct Fields;

        impl $crate::http::query::Selectors for Fields {
            const FIELDS: &'static [(&'static str, &'static str)] = &[$(($field, $field)),*];
        }

        #[utoipa::path(post, path = $path, tag = $tag, operation_id = $create_id,
                    summary = $create_words, request_body = dispatch_wire::$shape,
                    responses((status = $status, body = dispatch_wire::$shape),
                        $crate::http::openapi::Problems))]
        async fn create(
            caller: $crate::app::Caller,
            axum::extract::State(app): axum::extract::State<std::sync::Arc<$crate::app::App>>,
            $crate::http::Body(shape): $crate::http::Body<dispatch_wire::$shape>,
        ) -> $crate::http::ApiResult<axum::response::Response> {
            let created = app.$create(&caller, shape).await?;
            let status = axum::http::StatusCode::$reason;
            Ok($crate::http::reply::one::<dispatch_wire::$shape>(status, &created))
        }

        #[utoipa::path(get, path = $path, tag = $tag, operation_id = $list_id,
                    summary = $list_words,
                    params(
                        $crate::http::openapi::ListDocumentation,
                        $(($field = Option<String>, Query, description = $field_words)),*
                    ),
                    responses((status = 200, body = [dispatch_wire::$shape]),
                        $crate::http::openapi::Problems))]
        async fn list(
            caller: $crate::app::Caller,
            axum::extract::State(app): axum::extract::State<std::sync::Arc<$crate::app::App>>,
            parameters: $crate::http::ListParameters<Fields>,
        ) -> $crate::http::ApiResult<axum::response::Response> {
            if parameters.watch {
                let watch = $crate::http::watch::watch::<dispatch_wire::$shape, _>;
                return watch(&app, &caller, parameters).await;
            }
            let page = app.$list(&caller, &parameters.query).await?;
            Ok($crate::http::reply::page::<dispatch_wire::$shape, _>(&parameters, page))
        }
    };
}
pub(crate) use collection;
