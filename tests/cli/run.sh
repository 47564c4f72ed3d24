#!/bin/bash
# Tests of the tool: run.sh CONVPOOL. Needs nothing but bash and coreutils.
set -u
tool=$(realpath "$1")
export OMP_NUM_THREADS=2 LC_ALL=C
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0

report() { # NAME CONDITION...: runs the condition
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name (status $status)"
        sed 's/^/    /' out err | head -20
    fi
}

status=0
run() { # runs the tool: out, err, status
    timeout 120 "$tool" "$@" >out 2>err </dev/null
    status=$?
}

answers() { [ "$status" = "$1" ] && { [ -z "$2" ] || cat out err | grep -qF -e "$2"; }; }
expect() { # STATUS TEXT ARGUMENTS...: the tool ends with this status and its output contains this text
    local wanted=$1 text=$2
    shift 2
    run "$@"
    report "convpool $*: status $wanted, '$text'" answers "$wanted" "$text"
}

prints() { # LINES ARGUMENTS...: the tool prints exactly this on standard output
    local lines=$1
    shift
    run "$@"
    printf '%s\n' "$lines" >wanted
    report "convpool $*" cmp -s wanted out
}

says_one_error() { [ "$(wc -l <err)" -le 2 ] && head -1 err | grep -q '^convpool: error: '; }
refuses() { # STATUS TEXT ARGUMENTS...: as expect, with one error line in the usual form
    expect "$@"
    shift 2
    report "convpool $*: one error line" says_one_error
}

# The tool reads JSON lines itself: what it cannot parse it names with the line.
is_json() { "$tool" bench ops --cases "$1" --json 2>&1 >/dev/null | grep -q ': line [0-9]' && return 1 || [ -s "$1" ]; }
prints_json() { # ARGUMENTS...
    run "$@"
    cp out json
    report "convpool $*: JSON" is_json json
}

npy() { # FILE SHAPE NUMBER...: int32, which the tool takes as any other type
    local file=$1 header number
    header=$(printf "{'descr': '<i4', 'fortran_order': False, 'shape': (%s), }" "$2")
    shift 2
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header" >"$file"
    for number in "$@"; do
        printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((number & 255)) $((number >> 8 & 255)) \
            $((number >> 16 & 255)) $((number >> 24 & 255)))" >>"$file"
    done
}

bytes() { # NUMBER...: big-endian 32 bit
    local number
    for number in "$@"; do
        printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((number >> 24 & 255)) $((number >> 16 & 255)) \
            $((number >> 8 & 255)) $((number & 255)))"
    done
}

# --- help, version, usage ---

expect 0 "Usage: convpool COMMAND" --help
expect 0 "convpool 0." --version
for command in train eval predict summary data op explain bench convert operators info "bench ops" "bench train" "bench machine"; do
    expect 0 "Usage: convpool $command" $command --help
done
refuses 1 "no command 'trian'; near: 'train'" trian
expect 1 "Usage: convpool COMMAND"
refuses 1 "unrecognized option '--foo'" train --foo
refuses 1 "option '--output' requires an argument" train --output
refuses 1 "'extra' is not an option" info extra
refuses 1 "MODEL is missing" predict
refuses 1 "bench = fast: must be ops, model, train or machine" bench fast
"$tool" info >/dev/full 2>err
status=$?
: >out
report "full device" answers 4 "standard output: No space left on device"

# --- numbers in options ---

refuses 1 "threads = 0: must be 1 to 1024" info --threads 0
refuses 1 "threads = -1: must be 1 to 1024" info --threads -1
refuses 1 "threads = 1000000000: must be 1 to 1024" info --threads 1000000000
refuses 1 "threads = 2x: must be 1 to 1024" info --threads 2x
refuses 1 "threads = : must be 1 to 1024" info --threads ""
refuses 1 "threads = 99999999999999999999: must be 1 to 1024" info --threads 99999999999999999999
refuses 1 "epochs = -1: must be 1 to 1000000" train --epochs -1
refuses 1 "batch = 0: must be 1 to 1000000" train --batch 0
refuses 1 "batch = 1000000000000: must be 1 to 1000000" train --batch 1000000000000
refuses 1 "rate = nan: must be a number" train --rate nan
refuses 1 "rate = inf: must be a number" train --rate inf
refuses 1 "rate = 1e: must be a number" train --rate 1e
refuses 1 "rate = -0.1: must be a number" train --rate -0.1
refuses 1 "seed = -1: must be 0 to 2^64 - 1" train --seed -1
refuses 1 "optimizer = adm: must be one of adam, adam-paper, sgd, momentum, nesterov, adamw, rmsprop, adagrad, lion" train --optimizer adm
refuses 1 "schedule = step: must be step:EPOCHS" train --schedule step
refuses 1 "behind the comma must be warmup:STEPS" train --schedule cosine,3
refuses 1 "--momentum is for --optimizer momentum" train --momentum 0.5
refuses 1 "padding = 1,2,3: must be same" op conv --padding 1,2,3
refuses 1 "stride = 0x1: must be a number" op conv --stride 0x1
refuses 1 "stride = 2x: must be a number" op conv --stride 2x
refuses 1 "input = 28x28: must be height x width x channels" summary --net "dense 1" --input 28x28

# --- info, summary ---

expect 0 "threads            2" info
prints_json info --json
expect 0 "conv                                   depthwise, grouped, few-filters, winograd-4x4-3x3, winograd-2x2-3x3, winograd-2x2-5x5, winograd-4-3, direct, reference" operators
expect 0 "| conv-input-gradient | depthwise, grouped, few-filters, winograd-4x4-3x3, winograd-2x2-3x3, winograd-2x2-5x5, winograd-4-3, direct, reference | is one | no |" operators --markdown
prints_json operators --json
refuses 1 "--markdown, --json and --onnx cannot be given together" operators --markdown --json
article="conv 32 5x5 same relu; pool 2; flatten; dense 1024 relu; dense 10"
expect 0 "6,434,634 parameters" summary --net "$article"
expect 0 "7,059,968 multiply-adds" summary --net "$article"
prints_json summary --net "$article" --json
expect 0 "61,706 parameters" summary --net lenet5
expect 0 "77,418 parameters" summary --net resnet8
expect 0 "329,191 parameters" summary --net "vgg6 7"
refuses 2 "position 13: 'some' is not possible here" summary --net "conv 32 5x5 some"
refuses 2 "" summary --net "conv 4 99x99; dense 10"
refuses 4 "No such file" summary none.model

# --- explain ---

x="2 2 3 3 3;0 1 3 0 3;2 3 0 1 3;3 3 2 1 2;3 3 0 2 3" w="2 0 1;1 0 0;0 1 1"
expect 0 "= 10 → (2,1)" explain conv --x "$x" --w "$w" --stride 2 --padding 1
refuses 1 "--x: row 2 has 1 numbers, row 1 has 2" explain conv --x "1 2;3" --w "1"
refuses 1 "--w, row 1: 'a' is not a number" explain conv --x "1 2" --w "a"
refuses 1 "--x: row 1 has 0 numbers" explain conv --x "" --w "1"
refuses 1 "operation = pool: must be conv" explain pool
refuses 2 "" explain conv --x "1 2;3 4" --w "$w"

# --- op: forward, by hand ---

npy x5 "1, 5, 5, 1" ${x//;/ }
npy w3 "3, 3, 1, 1" ${w//;/ }
prints "y 1x3x3x1
1 5 6
7 8 3
3 10 4" op conv --input x5 --weights w3 --stride 2 --padding 1
npy b1 "1," 10
prints "y 1x3x3x1
11 15 16
17 18 13
13 20 14" op conv --input x5 --weights w3 --bias b1 --stride 2x2 --padding 1,1,1,1
npy x9 "1, 3, 3, 1" 1 2 3 4 5 6 7 8 9
npy w2 "2, 2, 1, 1" 1 2 3 4
npy dy4 "1, 2, 2, 1" 1 1 1 1
prints "y 1x2x2x1
37 47
67 77" op conv --input x9 --weights w2
prints "y 1x3x3x1
37 47 21
67 77 33
23 26 9" op conv --input x9 --weights w2 --padding same
prints "y 1x1x1x1
64" op conv --input x9 --weights w2 --dilation 2 --double --activation none --threads 1 --padding valid --stride 1
npy c8 "1, 2, 2, 2" 1 2 3 4 5 6 7 8
npy w110 "1, 2, 1, 1" 1 10
prints "y 1x1x2x2
51 62
73 84" op conv --input c8 --weights w110 --layout nchw
prints "y 1x2x2x1
5 6
8 9" op max-pool --input x9 --kernel 2 --stride 1
prints "y 1x2x2x1
3 4
6 7" op avg-pool --input x9 --kernel 2x2 --stride 1x1
prints "y 1x2x2x1
3 4.5
7.5 9" op avg-pool --input x9 --kernel 2 --padding 0,0,1,1
prints "y 1x2x2x1
3 2.25
3.75 2.25" op avg-pool --input x9 --kernel 2 --padding 0,0,1,1 --count-include-pad
prints "y 1x1x1x1
5" op max-pool --input x9 --kernel 2
prints "y 1x2x2x1
5 6
8 9" op max-pool --input x9 --kernel 2 --ceil
prints "y 1x1x1x1
9" op global-max-pool --input x9
prints "y 1x1x1x1
5" op global-avg-pool --input x9
npy places "1, 2, 2, 1" 0 2 6 8
npy x4 "1, 2, 2, 1" 1 2 3 4
npy region "1, 5" 0 0 0 2 2
npy shifts "1, 3, 3, 2" 1 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 5 5
npy w1 "1, 1, 1, 1" 2
npy ones9 "1, 3, 3, 1" 1 1 1 1 1 1 1 1 1
prints "y 1x3x3x1
1 0 2
0 0 0
3 0 4" op max-unpool --input x4 --positions places --output-size 3
run op max-pool --input x9 --kernel 2 --stride 1 -o maxima.npy --output-positions where.npy
prints "y 1x3x3x1
0 0 0
0 5 6
0 8 9" op max-unpool --input maxima.npy --positions where.npy --output-size 3
prints "y 1x5
9 5 6 8 9" op pyramid-max-pool --input x9 --levels 1,2
prints "y 1x5
5 3 4 6 7" op pyramid-avg-pool --input x9 --levels 1,2
prints "y 1x2x2x1
5 6
8 9" op max-roi-pool --input x9 --rois region --output-size 2
prints "y 1x1x1x1
3" op roi-align --input x9 --rois region --output-size 1 --sampling 1
prints "y 1x1x1x1
5" op roi-align --input x9 --rois region --output-size 1 --sampling 1 --output-half-pixel --max
prints "y 1x3x3x1
8 6 6
8 10 12
14 16 0" op deform-conv --input x9 --weights w1 --offset shifts
run op deform-conv --input x9 --weights w1 --offset shifts --mask ones9 --grad ones9 --output-dmask dmask.npy
prints "y 1x3x3x1
8 6 6
8 10 12
14 16 0" op relu --input dmask.npy
refuses 1 "max-unpool needs --positions" op max-unpool --input x4
refuses 1 "roi-align needs --rois" op roi-align --input x9 --output-size 2
refuses 1 "output-dmask needs --mask" op deform-conv --input x9 --weights w1 --offset shifts --grad ones9 --output-dmask d
refuses 2 "index 6 at 2 is outside 0..3" op max-unpool --input x4 --positions places --output-size 2
npy x2 "1, 2" 1 2
npy wd "2, 2" 1 2 3 4
npy bd "2," 1 1
prints "y 1x2
8 11" op dense --input x2 --weights wd --bias bd
prints "y 1x2
5 11" op dense --input x2 --weights wd --layout nchw
npy signs "1, 4" -1 2 -3 0
prints "y 1x4
0 2 0 0" op relu --input signs
npy zeros "1, 2" 0 0
prints "y 1x2
0.5 0.5" op softmax --input zeros
prints "y 1x2
0.5 0.5" op sigmoid --input zeros
prints "y 1x2
0 0" op tanh --input zeros
prints "y 1x2
1 2" op add --input x2 --input zeros
prints "y 1x4
-0.25 2 -0.75 0" op leaky-relu --input signs --alpha 0.25
npy bends "1, 4" -3 -6 0 3
prints "y 1x4
-0 -0 0 3" op hard-swish --input bends
prints "y 1x4
-1 1.5 -1 0" op clip --input signs --alpha -1 --beta 1.5
npy row "2," 10 100
prints "y 2x2
10 200
30 400" op mul --input wd --input row
prints "y 2x2
-9 -98
-7 -96" op sub --input wd --input row
npy slope "1," 2
npy each "1, 4" 1 1 1 1
prints "y 1x4
-2 2 -6 0" op prelu --input signs --weights slope
prints "dx 1x4
2 1 2 1
dw 1
-4" op prelu --input signs --weights slope --grad each
prints "y 2
3 7" op reduce --input wd --axes 1
prints "y 1x2
2 3" op reduce --input wd --axes 0 --kind mean --keep
prints "y 2x4
1 2 1 2
3 4 3 4" op concat --input wd --input wd
prints "y 1x2
3 4" op slice --input wd --axis 0 --begin 1
npy two "2," 2 1
npy first "2," 1 2
npy unit "2," 1 1
prints "y 2x2
10 100
14 102" op batch-norm --input wd --weights two --bias row --mean first --variance unit --epsilon 1e-20
prints "y 1x8
1 2 3 4 5 6 7 8" op flatten --input c8
npy label "1," 1
prints "y 1
0.693147181" op softmax-cross-entropy --input zeros --target label --double
npy target "1, 2" 1 0
prints "y 1
2" op mean-squared-error --input x2 --target target
npy classes "2," 1 3
npy one "1," 1
npy ones2x "2," 1 1
prints "y 1
0.693147181" op softmax-cross-entropy --input zeros --target label --weights classes --alpha 0 --double
prints "y 1
0.173286795" op focal --input zeros --target label --double
prints "y 1
0.34657359" op focal --input zeros --target label --alpha 1 --double
prints "y 1
0.5" op hinge --input zeros --target label
prints "y 1
0.693147181" op binary-cross-entropy --input zeros --target target --double
prints "y 1
0.75" op huber --input x2 --target target
prints "y 1
0.4375" op huber --input x2 --target target --alpha 0.5
prints "dx 1x2
0.25 -0.25" op softmax-cross-entropy --input zeros --target label --alpha 0.5 --weights ones2x --grad one
refuses 1 "hinge does not take --alpha" op hinge --input zeros --target label --alpha 1

# --- op: gradients, by hand ---

prints "dx 1x3x3x1
1 3 2
4 10 6
3 7 4
dw 2x2x1x1
12 16
24 28
db 1
4" op conv --input x9 --weights w2 --bias b1 --grad dy4
prints "dx 1x3x3x1
0 0 0
0 1 1
0 1 1" op max-pool --input x9 --kernel 2 --stride 1 --grad dy4
npy dy44 "1, 2, 2, 1" 4 4 4 4
prints "dx 1x3x3x1
1 2 1
2 4 2
1 2 1" op avg-pool --input x9 --kernel 2 --stride 1 --grad dy44
npy ones4 "1, 4" 1 1 1 1
prints "dx 1x4
0 1 0 0" op relu --input signs --grad ones4
npy ones2 "1, 2" 1 1
prints "dx 1x2
3 7
dw 2x2
1 1
2 2
db 2
1 1" op dense --input x2 --weights wd --bias bd --grad ones2
run op softmax-cross-entropy --input zeros --target label --output-dx dx.npy
prints "y 1x2
0.5 0" op relu --input dx.npy

# --- op: files and errors ---


run op conv --input x9 --weights w2 -o y.npy
report "-o prints nothing" [ "$status$(cat out err)" = 0 ]
"$tool" op conv --input x9 --weights w2 -o - >pipe.npy
report "-o - is the same file" cmp y.npy pipe.npy
prints "y 1x2x2x1
37 47
67 77" op relu --input y.npy
printf "\x93NUMPY\x01\x00\x76\x00%-117s\n" "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 1, 1, 3), }" >halves
printf '\x00\x3e\x00\xc0\x01\x00' >>halves
prints "y 1x1x1x3
1.5 0 5.96046448e-08" op relu --input halves
"$tool" op conv --input - --weights w2 -o y2.npy <x9
report "--input - is the same" cmp y.npy y2.npy
run op conv --input x9 --weights w2 --double -o y64.npy
report "--double is float64" grep -q "'<f8'" y64.npy
npy many "1, 500" $(seq 500)
expect 0 "y 1x500 crc32 " op relu --input many
npy two "1," 2
npy empty "0, 3, 3, 1"
expect 0 "y 0x2x2x1" op conv --input empty --weights w2

refuses 1 "the operation is missing" op
refuses 1 "operation = conf: must be one of conv, conv-transpose" op conf
refuses 1 "conv needs 1 --input, has 0" op conv
refuses 1 "conv needs --weights" op conv --input x9
refuses 1 "max-pool needs --kernel" op max-pool --input x9
refuses 1 "relu does not take --kernel" op relu --input x9 --kernel 2
refuses 1 "x9 is input and output" op relu --input x9 -o ./x9
refuses 1 "is two outputs" op conv --input x9 --weights w2 --grad dy4 --output-dx a --output-dw a
refuses 1 "need --grad" op conv --input x9 --weights w2 --output-dx a
refuses 2 "stride has 3 values, the input has 2 spatial axes" op conv --input x9 --weights w2 --stride 1x1x1
refuses 2 "padding has 6 values, needs 1 or 4" op conv --input x9 --weights w2 --padding 1,1,1,1,1,1
refuses 2 "" op conv --input x9 --weights x5
refuses 2 "" op conv --input x9 --weights w2 --groups 3
refuses 2 "" op conv --input x9 --weights w2 --bias wd
refuses 2 "" op conv --input x9 --weights w2 --grad x9
refuses 2 "" op max-pool --input x9 --kernel 4
refuses 2 "label 2 at 0: there are 2 classes" op softmax-cross-entropy --input zeros --target two
refuses 3 "more than the limit of" op conv --input x9 --weights w2 --padding 1000000
refuses 4 "none.npy" op relu --input none.npy
refuses 2 "not a .npy file" op relu --input err
refuses 4 "cannot write" op relu --input x9 -o none/y.npy

# --- data ---

expect 0 "picture 3: label 3, 28x28" data --index 3
run data --index 3 -o digit.png
report "data -o: PNG" [ "$(head -c 4 digit.png | tail -c 3)" = PNG ]
refuses 2 "index = 10000: there are 10000 pictures" data --index 10000
refuses 4 "No such file" data --index 3 -o none/digit.png
run data --index 3 --augment "shift 3; rotate 20" -o first.png
run data --index 3 --augment "shift 3; rotate 20" --epoch 2 -o second.png
report "data --augment: a picture" [ "$(head -c 4 first.png | tail -c 3)" = PNG ]
report "data --augment: changes it" [ "$(cmp digit.png first.png 2>&1)" ]
report "data --augment: anew in each epoch" [ "$(cmp first.png second.png 2>&1)" ]
refuses 2 "augment, position 10: 'turn' is not possible here" data --augment "shift 3; turn"

# --- train ---

small="conv 4 3x3 stride 2 relu; flatten; dense 10"
train=(train --count 600 --net "$small" --epochs)
run "${train[@]}" 2 -o two.model --save-best best.model --log two.log
report "train: status 0" answers 0 "epoch 2/2"
report "train: quiet when piped" [ ! -s err ]
report "train: accuracy" answers 0 "accuracy on 100 pictures it has not seen"
report "train: two lines in the log" [ "$(wc -l <two.log)" = 2 ]
report "train: the log is JSON" is_json two.log
report "train: keys of the log" grep -q '"epoch": 2, "loss": .*"accuracy": .*"val_loss": .*"val_accuracy": .*"seconds": .*"images_per_second": ' two.log
run "${train[@]}" 1 -o one.model --log resumed.log
run train --resume one.model --epochs 2 -o resumed.model --log resumed.log
report "resume: status 0" answers 0 "epoch 2/2"
report "resume: the same bits" cmp two.model resumed.model
report "resume: the log goes on" [ "$(wc -l <resumed.log)" = 2 ]
run "${train[@]}" 2 -o threads.model --threads 1 --quiet
report "train: the same bits with one thread" cmp two.model threads.model
report "train --quiet: prints nothing" [ ! -s out -a ! -s err ]
augment=(--augment "shift 2; rotate 10; scale 0.9:1.1; elastic; erase")
run "${train[@]}" 2 "${augment[@]}" -o augmented.model --threads 1
report "train --augment: changes the model" [ "$(cmp two.model augmented.model 2>&1)" ]
run "${train[@]}" 1 "${augment[@]}" -o resumed.model --threads 3
run train --resume resumed.model --epochs 2 -o resumed.model
report "train --augment: resumed with other threads, the same bits" cmp augmented.model resumed.model
refuses 1 "--augment cannot be given with --resume" train --resume one.model "${augment[@]}"
refuses 2 "augment, position 1: 'turn'" "${train[@]}" 1 --augment turn
run "${train[@]}" 1 -o seed.model --seed 2
report "train: another seed is another model" [ "$(cmp one.model seed.model 2>&1)" ]
for words in "--optimizer adam-paper" "--optimizer adamw --decay 0.01" "--optimizer rmsprop" "--optimizer adagrad" \
    "--optimizer lion --rate 1e-4" "--average 0.99" "--accumulate 3" "--loss focal:1.5" "--loss hinge --patience 2" \
    "--loss binary-cross-entropy --schedule plateau" "--loss huber:0.5 --schedule plateau:0.5:1,warmup:3" \
    "--loss squared-error" "--smoothing 0.1" "--class-weights balanced" "--optimizer sgd" "--optimizer momentum" "--optimizer nesterov --momentum 0.5" \
    "--schedule step:1:0.5,warmup:3" "--schedule cosine" "--decay 0.001 --clip 1 --initializer he" \
    "--validation 0.25 --batch 64"; do
    expect 0 "accuracy on" "${train[@]}" 1 $words
done
refuses 1 "loss = hinge:2: hinge has no value" train --loss hinge:2
refuses 1 "--class-weights is for --loss cross-entropy" train --loss huber --class-weights balanced
refuses 1 "--smoothing is for --loss cross-entropy" train --loss hinge --smoothing 0.1
refuses 1 "--rate cannot be given with --resume" train --resume one.model --rate 0.1
refuses 1 "-o and --log are the same file" "${train[@]}" 1 -o same --log ./same
refuses 1 "--data cannot be given" train --resume one.model --data .
refuses 2 "no checkpoint" train --resume best.model
refuses 4 "No such file" "${train[@]}" 1 -o none/model
refuses 4 "is a directory" "${train[@]}" 1 -o .
refuses 4 "none: no file train-images-idx3-ubyte or train-images-idx3-ubyte.gz" train --data none
refuses 2 "position 1: 'conf' is not possible here" train --count 10 --net "conf 3"

# Interrupted in whatever epoch, it goes on to the same bits. The log is a pipe that nobody empties before the signal, so
# that training cannot end too early.
interrupt() { # SIGNAL STATUS
    rm -f pipe cut.model
    mkfifo pipe
    "$tool" "${train[@]}" 100000 -o cut.model --log pipe >out 2>err &
    local trainer=$!
    exec 3<pipe
    read -r _ <&3
    kill -"$1" $trainer
    cat <&3 >/dev/null
    exec 3<&-
    wait $trainer
    status=$?
    report "train, SIG$1: status $2" answers "$2" "interrupted after"
    local epochs=$(($(grep -c '^epoch' out) + 1))
    run train --resume cut.model --epochs $epochs -o cut.model
    run "${train[@]}" $epochs -o whole.model
    report "train, SIG$1 in epoch $epochs, resumed: the same bits" cmp whole.model cut.model
}
interrupt INT 130
interrupt TERM 143

# --- eval, predict ---

expect 0 "of 100), loss" eval two.model --count 600
expect 0 "label | answer" eval two.model --count 600 --confusion
prints_json eval two.model --count 600 --confusion --json
expect 0 "conv 4 3x3" summary two.model
prints_json predict two.model digit.png --json
expect 0 "digit.png: " predict two.model digit.png digit.png --top 10 --show
expect 0 "PNG, 8 bit grey, 28x28" predict best.model digit.png
refuses 2 "digit.png: not a safetensors file" predict digit.png best.model
refuses 1 "IMAGE is missing" predict two.model
refuses 1 "top = 0: must be 1" predict two.model digit.png --top 0

# --- convert ---

# How many of 100 pictures are read rightly: rounding may move the answer of a doubtful one.
correct() { "$tool" eval "$1" --count 600 2>/dev/null | sed -nE 's/.*\(([0-9]+) of 100\).*/\1/p'; }
expect 0 "no weight has changed" convert two.model -o whole.model --store f32
for type in f16 bf16; do
    expect 0 "half.model: $type, " convert two.model -o half.model --store $type
    report "$type says what changed" grep -qE 'the largest change of a weight is [0-9.e-]+: .* in (conv|dense)[12]' out
    report "$type takes half the bytes" [ $((10 * $(stat -c %s half.model))) -lt $((6 * $(stat -c %s whole.model))) ]
    moved=$(($(correct half.model) - $(correct two.model)))
    report "$type answers as before" [ "${moved#-}" -le 2 ]
    expect 0 "again.model: $type, " convert half.model -o again.model --store $type
    report "$type once more changes nothing" grep -q "no weight has changed" out
    report "$type once more is the same file" cmp half.model again.model
done
prints_json convert two.model -o half.model --store f16 --json
refuses 1 "store = f64: must be one of f32, f16, bf16" convert two.model -o half.model --store f64
refuses 1 "two.model is input and output" convert two.model -o ./two.model --store f16
refuses 1 "--store is missing" convert two.model -o half.model
refuses 1 "--output is missing" convert two.model --store f16
refuses 4 "" convert none.model -o half.model --store f16

# --- hostile pictures ---

picture() { # FILE BASE64
    base64 -d <<<"$2" >"$1"
}
picture palette.png iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAMAAACeL25MAAAABlBMVEUAAAD///+l2Z/dAAAADklEQVR42mNgYARCVAIAAGAACYZTffUAAAAASUVORK5CYII=
picture past.png iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAMAAACeL25MAAAABlBMVEUAAAD///+l2Z/dAAAAEElEQVR42mNgYDzByIBKAAAeEAMpF2WJhQAAAABJRU5ErkJggg==
picture none.png iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAMAAACeL25MAAAADklEQVR42mNgYARCVAIAAGAACYZTffUAAAAASUVORK5CYII=
picture deep.png iVBORw0KGgoAAAANSUhEUgAAAAQAAAAEEAYAAAD5YUI9AAAAFUlEQVR42mP4/58BCP7/x0Uz0F4BAHD0P8EtZF3aAAAAAElFTkSuQmCC
picture wide.png iVBORw0KGgoAAAANSUhEUn////8AAAABCAAAAACFXWwBAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==
picture big.png iVBORw0KGgoAAAANSUhEUgAA/9wAAP/cCAAAAAC2PEnHAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==
picture zero.png iVBORw0KGgoAAAANSUhEUgAAAAAAAAAECAAAAACFcWHYAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==
picture grey.jpg /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAABf/EABgQAAIDAAAAAAAAAAAAAAAAAAAJR4XE/9oACAEBAAA/ACluyJXaj//Z
picture cmyk.jpg /9j/7gAOQWRvYmUAZAAAAAAA/9sAQwADAgIDAgIDAwMDBAMDBAUIBQUEBAUKBwcGCAwKDAwLCgsLDQ4SEA0OEQ4LCxAWEBETFBUVFQwPFxgWFBgSFBUU/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABQAAQAAAAAAAAAAAAAAAAAAAAX/xAAYEAACAwAAAAAAAAAAAAAAAAAACUeFxP/aAA4EQwBNAFkASwAAPwApbsiV2oKW7IldqCluyJXagpbsiV2o/9k=
picture progressive.jpg /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/wgALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAABP/aAAgBAQAAAAEn/8QAFRABAQAAAAAAAAAAAAAAAAAAAAf/2gAIAQEAAQUCm7//xAAXEAADAQAAAAAAAAAAAAAAAAAABYPC/9oACAEBAAY/AmM9H//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAT8hT//aAAgBAQAAABD/AP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAT8QF//Z
{ # one of its scans, 12 bytes behind 241, again and again
    head -c 253 progressive.jpg
    for _ in {1..150}; do tail -c +242 progressive.jpg | head -c 12; done
    tail -c +254 progressive.jpg
} >scans.jpg
{ head -c 60 digit.png; printf X; tail -c +62 digit.png; } >flipped.png
head -c 100 digit.png >cut.png
head -c 120 grey.jpg >header.jpg
head -c 165 grey.jpg >cut.jpg
printf 'P2\n# a comment\n2 2\n9\n0 9\n9 0\n' >grey.pgm
printf 'P3 1 1 65535 65535 0 0\n' >deep.ppm
printf 'P5 2 2 255\n\001\002\003\004' >binary.pgm
printf 'P6 1 1 255\n\001\002\003' >binary.ppm
printf 'P5 2 2 255\n\001\002\003' >cut.pgm
printf 'P2 2 2 9 0 9 9 10\n' >above.pgm
printf 'P5 99999999999 1 255\n' >overflow.pgm
printf 'P5 70000 70000 255\n' >huge.pgm
printf 'P5 0 3 255\n' >flat.pgm
printf 'P4 8 1\n\001' >bits.pbm
: >empty.png
mkdir folder.png
mkfifo fifo.png
for file in palette.png grey.jpg cmyk.jpg progressive.jpg grey.pgm deep.ppm binary.pgm binary.ppm; do
    expect 0 "$file: " predict two.model $file
done
expect 0 "16 bit RGB with transparency, 4x4, made grey, scaled to 28x28" predict two.model deep.png
"$tool" predict two.model - <digit.png >out 2>err
status=$?
report "predict from standard input" answers 0 "PNG, 8 bit grey, 28x28"
refuses 2 "palette index 200 of 2" predict two.model past.png
refuses 2 "Missing PLTE" predict two.model none.png
refuses 3 "image of 2147483647 x 1 pixels exceeds the limit" predict two.model wide.png
refuses 3 "image of 65500 x 65500 pixels exceeds the limit" predict two.model big.png
refuses 2 "width is zero" predict two.model zero.png
refuses 2 "corrupt PNG image at byte" predict two.model flipped.png
refuses 2 "corrupt PNG image at byte 100: the file ends too early" predict two.model cut.png
refuses 2 "more than 100 scans" predict two.model scans.jpg
refuses 2 "corrupt JPEG image" predict two.model header.jpg
refuses 2 "corrupt JPEG image" predict two.model cut.jpg
refuses 2 "the samples end too early" predict two.model cut.pgm
refuses 2 "a sample above the maximum" predict two.model above.pgm
refuses 2 "corrupt PNM image" predict two.model overflow.pgm
refuses 3 "exceeds the limit" predict two.model huge.pgm
refuses 2 "width is 0" predict two.model flat.pgm
refuses 2 "P4 is not supported" predict two.model bits.pbm
refuses 2 "empty file" predict two.model empty.png
refuses 2 "not a picture" predict two.model two.log
refuses 4 "is a directory" predict two.model folder.png
refuses 4 "is not a regular file" predict two.model fifo.png
refuses 4 "No such file" predict two.model gone.png
touch $'evil\n\e[31m.png'
refuses 2 'evil??[31m.png: empty file' predict two.model $'evil\n\e[31m.png'
for ((length = 1; length < 250; length += 7)); do
    head -c $length digit.png >part.png
    refuses 2 "part.png" predict two.model part.png
done

# --- IDX files ---

idx() { # FOLDER: four pictures of 2x2 with labels 0 1 2 3
    mkdir -p $1
    { bytes 2051 4 2 2; printf 'abcdefghijklmnop'; } >$1/train-images-idx3-ubyte
    { bytes 2049 4; printf '\000\001\002\003'; } >$1/train-labels-idx1-ubyte
}
fit=(--net "flatten; dense 10" --epochs 1 --quiet)
idx good
expect 0 "" train --data good "${fit[@]}" -o foreign.model
expect 0 "of 4), loss" eval foreign.model --data good
expect 0 "picture 2: label 2, 2x2" data --data good --index 2
gzip good/*
expect 0 "of 4), loss" eval foreign.model --data good
expect 0 "" train --data good "${fit[@]}" -o other.model
report "gzipped files are the same" cmp foreign.model other.model
refuses 1 "give --data DIR" train --resume foreign.model
idx other
printf x | dd of=other/train-images-idx3-ubyte bs=1 seek=16 conv=notrunc status=none
refuses 2 "was trained with other pictures than these" train --resume foreign.model --data other
idx bad-magic && { bytes 2052 4 2 2; printf 'abcdefghijklmnop'; } >bad-magic/train-images-idx3-ubyte
idx bad-short && { bytes 2051 60000 28 28; printf 'abc'; } >bad-short/train-images-idx3-ubyte
idx bad-long && printf 'x' >>bad-long/train-images-idx3-ubyte
idx bad-label && { bytes 2049 4; printf '\000\001\002\013'; } >bad-label/train-labels-idx1-ubyte
idx bad-count && { bytes 2049 3; printf '\000\001\002'; } >bad-count/train-labels-idx1-ubyte
idx bad-zero && { bytes 2051 0 2 2; } >bad-zero/train-images-idx3-ubyte && { bytes 2049 0; } >bad-zero/train-labels-idx1-ubyte
idx bad-vast && { bytes 2051 4294967295 4294967295 4294967295; } >bad-vast/train-images-idx3-ubyte
idx bad-cutgz && gzip bad-cutgz/* && head -c 30 good/train-images-idx3-ubyte.gz >bad-cutgz/train-images-idx3-ubyte.gz
idx bad-crcgz && gzip bad-crcgz/* && { head -c -8 good/train-images-idx3-ubyte.gz; bytes 1 2; } >bad-crcgz/train-images-idx3-ubyte.gz
idx bad-twice && gzip bad-twice/* && cat good/train-images-idx3-ubyte.gz good/train-images-idx3-ubyte.gz >bad-twice/train-images-idx3-ubyte.gz
idx bad-folder && rm bad-folder/train-labels-idx1-ubyte && mkdir bad-folder/train-labels-idx1-ubyte
idx bad-fifo && rm bad-fifo/train-labels-idx1-ubyte && mkfifo bad-fifo/train-labels-idx1-ubyte
for folder in bad-*; do
    run train --data $folder "${fit[@]}"
    report "IDX, $folder: status 2 to 4" [ $status -ge 2 -a $status -le 4 ]
    report "IDX, $folder: one error line" says_one_error
    [ $folder = bad-label ] || report "IDX, $folder: names the file" grep -q "$folder/train-" err
done
refuses 2 "the data has 12 classes" train --data bad-label "${fit[@]}"

# --- MNIST, where it is ---

mnist=${CONVPOOL_TEST_DATA:-}/mnist
if [ -e "$mnist/t10k-images-idx3-ubyte.gz" ]; then
    expect 0 "picture 0: label 7, 28x28" data --data "$mnist" --index 0
    expect 0 "accuracy on 10,000 pictures it has not seen: 9" train --data "$mnist" --net "flatten; dense 10" --epochs 1 \
        -o mnist.model
    expect 0 "of 10,000), loss" eval mnist.model --data "$mnist"
else
    echo "SKIPPED: MNIST, for CONVPOOL_TEST_DATA does not lead to it"
    [ -z "${CONVPOOL_REQUIRE_DATA:-}" ] || failed=$((failed + 1))
fi

# --- class folders, CIFAR ---

for part in train test; do
    for class in zero one "a two"; do mkdir -p "pictures/$part/$class"; done
    for i in 0 1 2 3 4 5; do
        case $((i % 3)) in 0) class=zero ;; 1) class=one ;; 2) class="a two" ;; esac
        "$tool" data --index $i -o "pictures/$part/$class/$i.png" >out 2>err
    done
done
echo "not a picture" >"pictures/train/zero/README"
folders=(train --data pictures --net "flatten; dense 3" --epochs)
expect 0 "6 pictures to train with, 6 to validate" "${folders[@]}" 2 -o classes.model
report "class folders: the names are in the model, sorted" grep -qa 'a two[",\\]*one[",\\]*zero' classes.model
run "${folders[@]}" 1 -o half.model
run train --resume half.model --data pictures --epochs 2 -o half.model
report "class folders: resumed to the same bits" cmp classes.model half.model
expect 0 "of 6), loss" eval classes.model --data pictures
expect 0 "picture 0: label 0, 28x28" data --data pictures
expect 0 "label 0, 10x12" data --data pictures --size 12x10
expect 0 "" "${folders[@]}" 1 --size 9x9 -o nine.model
expect 0 "of 6), loss" eval nine.model --data pictures
refuses 1 "size = 9: must be height x width, as 64x64" train --data pictures --size 9
refuses 1 "--size cannot be given with --resume" train --resume half.model --data pictures --size 9x9
"$tool" data --index 3 -o small.png >out 2>err
mkdir -p pictures/test/other && cp small.png pictures/test/other
refuses 2 "the class 'other' is not one of training" "${folders[@]}" 1
rm -r pictures/test/other && mkdir pictures/train/empty
refuses 2 "pictures/train/empty: no PNG or JPEG files in this class" "${folders[@]}" 1
rmdir pictures/train/empty && printf x >pictures/train/one/x.jpg
refuses 2 "pictures/train/one/x.jpg: not a picture" "${folders[@]}" 1

mkdir cifar
record() { # LABEL BYTE: of CIFAR-10
    printf "\\$(printf %03o "$1")"
    head -c 3072 /dev/zero | tr '\0' "$2"
}
for i in 1 2 3 4 5; do { record $i a; record 9 b; } >cifar/data_batch_$i.bin; done
expect 0 "10 pictures to train with, 0 to validate" train --data cifar --net "pool 8; flatten; dense 10" --epochs 1
record 7 c >cifar/test_batch.bin
expect 0 "10 pictures to train with, 1 to validate" train --data cifar --net "pool 8; flatten; dense 10" --epochs 1
expect 0 "picture 0: label 7, 32x32" data --data cifar
printf x >>cifar/data_batch_3.bin
refuses 2 "data_batch_3.bin: 6147 bytes are no whole number of records of 3073" data --data cifar --training
rm cifar/data_batch_3.bin
refuses 4 "no file data_batch_3.bin" data --data cifar --training
mkdir cifar100
{ printf x; record 99 a; } >cifar100/train.bin
expect 0 "picture 0: label 99, 32x32" data --data cifar100 --training

# --- onnx ---

"$tool" train --quiet --count 60 --epochs 1 --net "conv 4 3x3 same relu; pool 2; flatten; dense 10; softmax" \
    -o net.safetensors 2>/dev/null
expect 0 "net.onnx: ONNX, " convert net.safetensors -o net.onnx
prints_json convert net.safetensors -o net.onnx --json
refuses 1 "--store is for models of our own" convert net.safetensors -o net.onnx --store f16
refuses 1 "--store is missing" convert net.safetensors -o other.safetensors
"$tool" data --seed 3 -o digit.png >/dev/null
expect 0 "logits: 1x10, " run net.onnx --input digit.png
expect 0 "logits: 1x10, " run net.safetensors --input image=digit.png --threads 1 --math strict
expect 0 "algorithm" run net.onnx --input digit.png --profile
printf '%s\n' a b c d e f g seven >labels
expect 0 "  seven" run net.onnx --input digit.png --top 10 --labels labels
prints_json run net.onnx --input digit.png --json --top 3
report "run: keys" grep -q '"outputs": .*"name": "logits", "shape": \[1, 10\].*"top": .*"label": ' out
expect 0 "" run net.onnx --input digit.png -o first.npy --output-dir folder
expect 0 "" run net.safetensors --input digit.png -o logits=last.npy
report "run: an output by name, by number, in a folder" cmp first.npy folder/logits.npy
expect 0 "logits: 1x10, " run net.onnx --shape 1x1x28x28 --input digit.png --mean 0.5 --std 0.5,0.5,0.5
expect 0 "conv 4 3x3" summary net.onnx
expect 0 "of packed weights" summary net.onnx --plan --shape image=2x1x28x28
expect 0 "algorithm" summary net.safetensors --plan
refuses 1 "--plan and --json cannot be given together" summary net.onnx --plan --json
expect 0 "p99" bench model net.onnx -s 0 --threads 1
prints_json bench model net.onnx -s 0 --json
report "bench model: keys" grep -q '"load_ms": .*"plan_ms": .*"median_ms": .*"p99_ms": .*"peak_bytes": ' out
expect 0 "ConvTranspose                conv-transpose" operators --onnx
refuses 2 "input 'image' (0x1x28x28) is not given" run net.onnx
refuses 2 "the model has no input 'picture'" run net.onnx --input picture=digit.png
expect 2 "the model has no output logit" run net.onnx --input digit.png -o logit=x.npy
refuses 2 "input 'image' is 1x1x20x20, the model takes" run net.onnx --shape 1x1x20x20 --input digit.png
refuses 1 "shape = 1xx: must be sizes" run net.onnx --shape 1xx --input digit.png
refuses 1 "max-memory = 5Z: must be bytes" run net.onnx --max-memory 5Z --input digit.png
expect 3 "limit 1000" run net.onnx --max-memory 1000 --input digit.png
refuses 1 "MODEL is missing" run
refuses 4 "No such file" run gone.onnx
head -c 100 net.onnx >cut.onnx
refuses 2 "cut.onnx: truncated at byte 100 in model.graph" run cut.onnx --input digit.png
: >empty.onnx
refuses 2 "not an ONNX model (empty file)" run empty.onnx
mkdir -p suite/test_data_set_0
expect 2 "suite: FAILED: no model.onnx" onnx-test suite
cp net.onnx suite/model.onnx
expect 2 "0 passed, 1 failed, 0 unsupported" onnx-test suite
refuses 1 "DIR is missing" onnx-test

# --- bench ---

cat >cases <<'END'
{"name": "conv", "op": "conv", "input": [1, 8, 8, 4], "filters": 4, "kernel": [3, 3], "padding": "same", "activation": "relu"}
{"name": "input", "op": "conv", "pass": "backward_input", "input": [1, 8, 8, 4], "filters": 4, "kernel": [3, 3], "stride": [2, 2], "padding": [1, 1, 1, 1]}
{"name": "weights", "op": "conv", "pass": "backward_weights", "input": [1, 8, 8, 4], "filters": 4, "kernel": [3, 3], "groups": 2}

{"name": "max", "op": "max-pool", "input": [1, 8, 8, 4], "kernel": [2, 2], "stride": [2, 2]}
{"name": "average", "op": "avg-pool", "pass": "backward_input", "input": [1, 8, 8, 4], "kernel": [2, 2]}
{"name": "dense", "op": "dense", "input": [4, 16], "filters": 8}
{"name": "line", "op": "conv", "input": [1, 16, 4], "filters": 4, "kernel": [3], "dilation": [2]}
END
prints_json bench ops --cases cases --json --seconds 0 --threads 2
report "bench ops: a line for each case" [ "$status$(grep -c '"median_ms"' out)" = 07 ]
report "bench ops: keys" grep -q '"name": "conv", "algorithm": .*"isa": .*"threads": 2, "min_ms": .*"gflops": .*"gbps": .*"share": .*"bound": ".*"limit": ' out
expect 0 "median ms" bench ops --cases cases --seconds 0
expect 0 " error " bench ops --cases cases --seconds 0 --error
printf '%s\n' '{"name": "w", "op": "conv", "input": [1, 32, 32, 32], "filters": 32, "kernel": [3, 3]}' >case
expect 0 '"algorithm": "winograd-4x4-3x3"' bench ops --cases case --json --seconds 0
expect 0 '"error": ' bench ops --cases case --json --seconds 0 --error
expect 0 '"algorithm": "winograd-2x2-3x3"' bench ops --cases case --json --seconds 0 --math strict
refuses 1 "math = exact: must be one of fast, strict" bench ops --cases case --math exact
prints_json bench machine --json --seconds 0 --threads 1
report "bench machine: keys" grep -q '"fp32": .*"tile": .*"level": "L1".*"read": .*"rows": .*"best": .*"DRAM"' out
expect 0 "GFLOP/s" bench machine --seconds 0 --threads 2
bad() { # TEXT CASE
    printf '%s\n' "$2" >case
    expect 2 "$1" bench ops --cases case --json --seconds 0
}
printf '%s\n' '{"name": "t", "op": "conv-transpose", "input": [1, 8, 8, 4], "filters": 4, "kernel": [3, 3]}' >case
expect 0 '"algorithm": "direct"' bench ops --cases case --json --seconds 0
bad "op must be one that 'convpool operators' names" '{"name": "t", "op": "conf"}'
bad "unknown key 'strides'" '{"name": "t", "op": "conv", "input": [1, 8, 8, 4], "filters": 4, "kernel": [3, 3], "strides": [1, 1]}'
bad "kernel must be 2 whole numbers" '{"name": "t", "op": "conv", "input": [1, 8, 8, 4], "filters": 4, "kernel": [3]}'
bad "max-pool has no weights" '{"name": "t", "op": "max-pool", "pass": "backward_weights", "input": [1, 8, 8, 4], "kernel": [3, 3]}'
bad "needs a name and an op" '{}'
bad "line 1: not an object" '[1]'
bad "line 1: " '{"name"'
bad "error" '{"name": "t", "op": "conv", "input": [1, 8, 8, 4], "filters": 4, "kernel": [30, 30]}'
refuses 1 "--cases is missing" bench ops
refuses 4 "No such file" bench ops --cases gone
prints_json bench train --batch 2 --seconds 0 --json
expect 0 "update" bench train --batch 2 --seconds 0

echo "$passed passed, $failed failed"
[ $failed = 0 ]
