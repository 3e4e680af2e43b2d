;; Greets: answers {"greeting": "Hello from WebAssembly"}, whatever it is given.
;;
;; The smallest component of the world dispatch:function/function
;; (wit/dispatch-function/world.wit).
(component
  (type $error-shape (record (field "message" string) (field "stacktrace" (list string))))
  (import "error" (type $error (eq $error-shape)))

  (core module $hello
    (memory (export "memory") 1)
    ;; The answer: the case "ok", where the text is and how long.
    (data (i32.const 0) "\00\00\00\00\10\00\00\00\26\00\00\00")
    (data (i32.const 16) "{\"greeting\": \"Hello from WebAssembly\"}")
    (global $free (mut i32) (i32.const 64))

    ;; Room for context and payload. An instance serves one call, so nothing is ever freed.
    (func (export "allocate") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $free))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16)))
        (then
          (if (i32.eq (i32.const -1)
                (memory.grow
                  (i32.add (i32.const 1) (i32.shr_u (local.get 3) (i32.const 16)))))
            (then (unreachable)))))
      (local.get $at))

    (func (export "handle") (param i32 i32 i32 i32) (result i32)
      (i32.const 0)))

  (core instance $i (instantiate $hello))
  (func (export "handle")
    (param "context" string) (param "payload" string) (result (result string (error $error)))
    (canon lift (core func $i "handle")
      (memory (core memory $i "memory")) (realloc (core func $i "allocate")))))
