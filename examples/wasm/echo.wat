;; Answers {"context": <the context>, "payload": <the payload>}.
;;
;; A component of the world dispatch:function/function (wit/dispatch-function/world.wit), written
;; by hand. It allocates by moving a pointer up: an instance serves one call and is thrown away.
(component
  (type $error-shape (record (field "message" string) (field "stacktrace" (list string))))
  (import "error" (type $error (eq $error-shape)))

  (core module $echo
    (memory (export "memory") 1)
    (data (i32.const 16) "{\"context\":")
    (data (i32.const 32) ",\"payload\":")
    (global $free (mut i32) (i32.const 64))

    ;; Grows the memory when the pointer has moved past its end.
    (func $allocate (export "allocate") (param i32 i32 i32 i32) (result i32)
      (local $at i32) (local $missing i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.set $missing
        (i32.sub
          (i32.shr_u (i32.add (global.get $free) (i32.const 65535)) (i32.const 16))
          (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then
          (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
            (then (unreachable)))))
      (local.get $at))

    ;; Copies a text to $to and returns where the next one goes.
    (func $put (param $to i32) (param $from i32) (param $size i32) (result i32)
      (memory.copy (local.get $to) (local.get $from) (local.get $size))
      (i32.add (local.get $to) (local.get $size)))

    (func (export "handle")
      (param $context i32) (param $context-size i32)
      (param $payload i32) (param $payload-size i32)
      (result i32)
      (local $out i32) (local $at i32)
      (local.set $out
        (call $allocate (i32.const 0) (i32.const 0) (i32.const 1)
          (i32.add (i32.const 23) (i32.add (local.get $context-size) (local.get $payload-size)))))
      (local.set $at (call $put (local.get $out) (i32.const 16) (i32.const 11)))
      (local.set $at (call $put (local.get $at) (local.get $context) (local.get $context-size)))
      (local.set $at (call $put (local.get $at) (i32.const 32) (i32.const 11)))
      (local.set $at (call $put (local.get $at) (local.get $payload) (local.get $payload-size)))
      (i32.store8 (local.get $at) (i32.const 125))
      ;; The answer is written at 0: the case "ok", then where the text is and how long.
      (i32.store8 (i32.const 0) (i32.const 0))
      (i32.store (i32.const 4) (local.get $out))
      (i32.store (i32.const 8)
        (i32.sub (i32.add (local.get $at) (i32.const 1)) (local.get $out)))
      (i32.const 0)))

  (core instance $i (instantiate $echo))
  (func (export "handle")
    (param "context" string) (param "payload" string) (result (result string (error $error)))
    (canon lift (core func $i "handle")
      (memory (core memory $i "memory")) (realloc (core func $i "allocate")))))
