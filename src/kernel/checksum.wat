;; The Internet checksum (RFC 1071) in WebAssembly SIMD, over the memory of the slab.
;;
;; Built into checksum-wasm.ts by scripts/build-checksum.ts; checksum.ts says when it is used.
;;
;; WebAssembly loads little-endian words, the checksum is of big-endian ones. The sum does not mind (RFC 1071 §2B): the
;; words are added as they are loaded, and only the folded result has its octets swapped. Every reduction rests on
;; 2^16 = 1 (mod 2^16 - 1): halves, 32-bit words and lanes may be added in any order.
;;
;; A vector is two lanes of 64 bits. Two sums are kept of them: of the lanes, modulo 2^64 ($whole), and of their upper
;; halves ($upper), which no run can make overflow. The sum of the lower halves is what is left of the first when the
;; second is taken out of it where it belongs, 32 bits higher: below 2^64, so exact. Three additions or shifts for 16 octets.
;;
;; Engines call functions, they do not inline them: in `copyAndSum`, which runs twice for each segment, `$across` and
;; `$finish` are written out.
(module
  (import "slab" "memory" (memory 1))

  ;; The folded sum of the run [at, at + length), carried on from `partial`: 0 to 0xffff.
  (func (export "sum") (param $at i32) (param $length i32) (param $partial i32) (result i32)
    (local $whole v128) (local $upper v128) (local $total i64) (local $stop i32) (local $end i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    ;; Whole runs of 64 octets.
    (local.set $stop (i32.add (local.get $at) (i32.and (local.get $length) (i32.const -64))))
    (block $vectorsDone
      (br_if $vectorsDone (i32.eq (local.get $at) (local.get $stop)))
      (loop $next
        (local.set $a (v128.load offset=0 (local.get $at)))
        (local.set $b (v128.load offset=16 (local.get $at)))
        (local.set $c (v128.load offset=32 (local.get $at)))
        (local.set $d (v128.load offset=48 (local.get $at)))
        (local.set $whole
          (i64x2.add (local.get $whole)
            (i64x2.add
              (i64x2.add (local.get $a) (local.get $b))
              (i64x2.add (local.get $c) (local.get $d)))))
        (local.set $upper
          (i64x2.add (local.get $upper)
            (i64x2.add
              (i64x2.add
                (i64x2.shr_u (local.get $a) (i32.const 32))
                (i64x2.shr_u (local.get $b) (i32.const 32)))
              (i64x2.add
                (i64x2.shr_u (local.get $c) (i32.const 32))
                (i64x2.shr_u (local.get $d) (i32.const 32))))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br_if $next (i32.ne (local.get $at) (local.get $stop)))))
    ;; Fewer than 64 octets are left: 16 at a time, then 8, 4, 2 and 1.
    (block $sixteensDone
      (loop $next
        (br_if $sixteensDone (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 16)))
        (local.set $a (v128.load (local.get $at)))
        (local.set $whole (i64x2.add (local.get $whole) (local.get $a)))
        (local.set $upper (i64x2.add (local.get $upper) (i64x2.shr_u (local.get $a) (i32.const 32))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (local.set $total (call $across (local.get $whole) (local.get $upper)))
    (if (i32.and (local.get $length) (i32.const 8))
      (then
        (local.set $total
          (i64.add (local.get $total)
            (i64.add (i64.load32_u (local.get $at)) (i64.load32_u offset=4 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))))
    (if (i32.and (local.get $length) (i32.const 4))
      (then
        (local.set $total (i64.add (local.get $total) (i64.load32_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))))
    (if (i32.and (local.get $length) (i32.const 2))
      (then
        (local.set $total (i64.add (local.get $total) (i64.load16_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))))
    (if (i32.and (local.get $length) (i32.const 1))
      (then (local.set $total (i64.add (local.get $total) (i64.load8_u (local.get $at))))))
    (call $finish (local.get $total) (local.get $partial)))

  ;; The same for [from, from + length), copied to [to, to + length) on the way. The runs do not overlap.
  (func (export "copyAndSum")
    (param $from i32) (param $to i32) (param $length i32) (param $partial i32) (result i32)
    (local $whole v128) (local $upper v128) (local $total i64) (local $stop i32) (local $end i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $word i64) (local $sum i32)
    (local.set $end (i32.add (local.get $from) (local.get $length)))
    (local.set $stop (i32.add (local.get $from) (i32.and (local.get $length) (i32.const -64))))
    (block $vectorsDone
      (br_if $vectorsDone (i32.eq (local.get $from) (local.get $stop)))
      (loop $next
        (v128.store offset=0 (local.get $to) (local.tee $a (v128.load offset=0 (local.get $from))))
        (v128.store offset=16 (local.get $to) (local.tee $b (v128.load offset=16 (local.get $from))))
        (v128.store offset=32 (local.get $to) (local.tee $c (v128.load offset=32 (local.get $from))))
        (v128.store offset=48 (local.get $to) (local.tee $d (v128.load offset=48 (local.get $from))))
        (local.set $whole
          (i64x2.add (local.get $whole)
            (i64x2.add
              (i64x2.add (local.get $a) (local.get $b))
              (i64x2.add (local.get $c) (local.get $d)))))
        (local.set $upper
          (i64x2.add (local.get $upper)
            (i64x2.add
              (i64x2.add
                (i64x2.shr_u (local.get $a) (i32.const 32))
                (i64x2.shr_u (local.get $b) (i32.const 32)))
              (i64x2.add
                (i64x2.shr_u (local.get $c) (i32.const 32))
                (i64x2.shr_u (local.get $d) (i32.const 32))))))
        (local.set $from (i32.add (local.get $from) (i32.const 64)))
        (local.set $to (i32.add (local.get $to) (i32.const 64)))
        (br_if $next (i32.ne (local.get $from) (local.get $stop)))))
    (block $sixteensDone
      (loop $next
        (br_if $sixteensDone (i32.lt_u (i32.sub (local.get $end) (local.get $from)) (i32.const 16)))
        (v128.store (local.get $to) (local.tee $a (v128.load (local.get $from))))
        (local.set $whole (i64x2.add (local.get $whole) (local.get $a)))
        (local.set $upper (i64x2.add (local.get $upper) (i64x2.shr_u (local.get $a) (i32.const 32))))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (br $next)))
    (local.set $whole
      (i64x2.add
        (local.get $upper)
        (i64x2.sub (local.get $whole) (i64x2.shl (local.get $upper) (i32.const 32)))))
    (local.set $total
      (i64.add (i64x2.extract_lane 0 (local.get $whole)) (i64x2.extract_lane 1 (local.get $whole))))
    (if (i32.and (local.get $length) (i32.const 8))
      (then
        (i64.store (local.get $to) (local.tee $word (i64.load (local.get $from))))
        (local.set $total
          (i64.add (local.get $total)
            (i64.add
              (i64.and (local.get $word) (i64.const 0xffffffff))
              (i64.shr_u (local.get $word) (i64.const 32)))))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))))
    (if (i32.and (local.get $length) (i32.const 4))
      (then
        (i64.store32 (local.get $to) (local.tee $word (i64.load32_u (local.get $from))))
        (local.set $total (i64.add (local.get $total) (local.get $word)))
        (local.set $from (i32.add (local.get $from) (i32.const 4)))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))))
    (if (i32.and (local.get $length) (i32.const 2))
      (then
        (i64.store16 (local.get $to) (local.tee $word (i64.load16_u (local.get $from))))
        (local.set $total (i64.add (local.get $total) (local.get $word)))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (local.set $to (i32.add (local.get $to) (i32.const 2)))))
    (if (i32.and (local.get $length) (i32.const 1))
      (then
        (i64.store8 (local.get $to) (local.tee $word (i64.load8_u (local.get $from))))
        (local.set $total (i64.add (local.get $total) (local.get $word)))))
    (local.set $total
      (i64.add (i64.and (local.get $total) (i64.const 0xffffffff)) (i64.shr_u (local.get $total) (i64.const 32))))
    (local.set $sum
      (i32.add
        (i32.and (i32.wrap_i64 (local.get $total)) (i32.const 0xffff))
        (i32.wrap_i64 (i64.shr_u (local.get $total) (i64.const 16)))))
    (local.set $sum
      (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))
    (local.set $sum
      (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))
    (local.set $sum
      (i32.or
        (i32.shl (i32.and (local.get $sum) (i32.const 0xff)) (i32.const 8))
        (i32.shr_u (local.get $sum) (i32.const 8))))
    (local.set $sum
      (i32.add
        (local.get $sum)
        (i32.add
          (i32.and (local.get $partial) (i32.const 0xffff))
          (i32.shr_u (local.get $partial) (i32.const 16)))))
    (local.set $sum
      (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))
    (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))

  ;; The sum of all words of 32 bits: the upper halves, and the lower ones. Below 2^62 for any run there is memory for.
  (func $across (param $whole v128) (param $upper v128) (result i64)
    (local.set $whole
      (i64x2.add
        (local.get $upper)
        (i64x2.sub (local.get $whole) (i64x2.shl (local.get $upper) (i32.const 32)))))
    (i64.add (i64x2.extract_lane 0 (local.get $whole)) (i64x2.extract_lane 1 (local.get $whole))))

  ;; Folds a total of little-endian words, swaps it to big-endian, adds the partial sum and folds again: by halves, each
  ;; time with the carry that the halving leaves.
  (func $finish (param $total i64) (param $partial i32) (result i32)
    (local $sum i32)
    ;; Below 2^33 after the first step, so that two carries at most are left for the next.
    (local.set $total
      (i64.add (i64.and (local.get $total) (i64.const 0xffffffff)) (i64.shr_u (local.get $total) (i64.const 32))))
    (local.set $sum
      (i32.add
        (i32.and (i32.wrap_i64 (local.get $total)) (i32.const 0xffff))
        (i32.wrap_i64 (i64.shr_u (local.get $total) (i64.const 16)))))
    (local.set $sum
      (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))
    (local.set $sum
      (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))
    (local.set $sum
      (i32.or
        (i32.shl (i32.and (local.get $sum) (i32.const 0xff)) (i32.const 8))
        (i32.shr_u (local.get $sum) (i32.const 8))))
    (local.set $sum
      (i32.add
        (local.get $sum)
        (i32.add
          (i32.and (local.get $partial) (i32.const 0xffff))
          (i32.shr_u (local.get $partial) (i32.const 16)))))
    (local.set $sum
      (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16))))
    (i32.add (i32.and (local.get $sum) (i32.const 0xffff)) (i32.shr_u (local.get $sum) (i32.const 16)))))
