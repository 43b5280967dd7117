#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The forms of a report: JSON that programs can read, a page that needs nothing else, and texts
# that try to break out of either.
# shellcheck disable=SC2317
set -u
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:?}/tests/scenario/scenario_lib.sh"
sample=${builddir:?}/tests/kill/report_sample
cd "$area" || exit 1

field() { "$tools/json_check" "$2" <"$1"; }

# The JSON that stands in a page: nothing in it may look like the end of the element.
data_of() { sed -n 's/.*id="data">//p' "$1" | sed 's/<.*//'; }

# Every element that is opened is closed, in order; scripts and styles are not elements inside.
well_formed() {
    sed -e '/^<script>$/,/^<\/script>$/d' -e '/^<style>$/,/^<\/style>$/d' \
        -e 's/id="data">.*<\/script>/id="data"><\/script>/' "$1" | awk '
        BEGIN { RS = "<"; split("meta input br", void); for (i in void) alone[void[i]] = 1 }
        NR == 1 { next }
        /^!DOCTYPE/ { next }
        !/>/ { print "no end: " $0; bad = 1 }
        {
            name = $0
            sub(/[ >].*/, "", name)
            gsub(/\n/, "", name)
            if (name ~ /^\//) {
                if (open[depth] != substr(name, 2)) { print "wrong end: " name; bad = 1 }
                depth--
            } else if (!(name in alone)) {
                open[++depth] = name
            }
        }
        END { if (depth != 0) print "not closed: " open[depth]; exit bad || depth != 0 }'
}

code 1 "a report with violations ends with 1" "$sample" hostile hostile.json hostile.html
same "hostile texts are valid JSON" "$tools/json_check" schema mode verdicts <hostile.json
is "violations are counted" "$(field hostile.json verdicts.violation)" 1
is "a text that is not UTF-8 is bytes in base64" \
    "$(field hostile.json states.1.message.bytes | base64 -d | od -An -tx1)" \
    "$(printf '</script><!--<script>"%s&\\ \033[31m\r\n\xe2\x80\xae\xff\xfe end' "'" | od -An -tx1)"
is "no text is null" "$(field hostile.json events.5.text)" null
lacks "no escape reaches a terminal" "$area/out" $'\033'
lacks "no carriage return does" "$area/out" $'\r'

same "the page is well formed" well_formed hostile.html
is "two scripts begin" "$(grep -o '<script' hostile.html | wc -l)" 2
is "two scripts end" "$(grep -oi '</script' hostile.html | wc -l)" 2
is "nothing opens a comment" "$(grep -c '<!--' hostile.html)" 0
is "nothing is fetched" \
    "$(grep -ciE 'https?:|[^a-z]src *=|href *=|url\(|@import|<link|<img|fetch\(' hostile.html)" 0
data_of hostile.html >page.json
is "the data of the page is the JSON report" "$(field page.json states)" \
    "$(field hostile.json states)"
is "the command that reproduces is in the page" \
    "$(field page.json states.1.reproduce.bytes | base64 -d | head -c 21)" "txcrash kill -- '</sc"

code 1 "nothing tested is no success" "$sample" 0 none.json none.html
is "and says so" "$(field none.json verdicts)" '{"fine":0,"violation":0,"unjudged":0}'
code 1 "twenty thousand states" "$sample" 20000 large.json large.html
same "make one valid line" "$tools/json_check" schema <large.json
data_of large.html >page.json
is "and a page with all of them" "$(field page.json states.19999.verdict)" \
    "$(field large.json states.19999.verdict)"
code 1 "a file that cannot be written" "$sample" 300 "$area/no/such.json" few.html
has "is named" "$area/err" "write $area/no/such.json: No such file or directory"
same "the other form is written" test -s few.html

# With a browser there is more to see; nobody has to have one.
browser=$(command -v chromium || command -v google-chrome || true)
if [[ -n $browser ]]; then
    dom() {
        HOME=$area timeout 120 "$browser" --headless --no-sandbox --disable-gpu \
            --user-data-dir="$area/browser" --virtual-time-budget=3000 \
            --dump-dom "file://$area/$1" 2>/dev/null >"$area/dom"
    }
    dom hostile.html
    has "the page counts violations" "$area/dom" "1 of 2 states convicted"
    has "the page shows the command, disarmed" "$area/dom" \
        "txcrash kill -- '&lt;/script&gt;&lt;!--&lt;script&gt;"
    dom large.html
    has "and the first of many violations" "$area/dom" "was acknowledged and is not there"

    # Keys and a click, as a person would use them; what the page then says of the state chosen.
    cat large.html - >driven.html <<'END'
<script>
const said = [];
const say = (what) => said.push(what + ': ' + byId('state').querySelector('h3').textContent);
const press = (key) => picture.dispatchEvent(new KeyboardEvent('keydown', { key }));
const point = (name, cell) => {
  const box = picture.getBoundingClientRect();
  picture.dispatchEvent(new PointerEvent(name, { pointerId: 1, clientX: box.left + cell.x + 2,
    clientY: box.top + cell.y + 2 }));
};
picture.setPointerCapture = () => {};
setTimeout(() => {
  press('End'); say('End');
  press('Home'); say('Home');
  press('n'); say('n');
  for (let i = 0; i < 6; i++) press('+');
  said.push('zoomed: ' + (view.to - view.from < 60));
  setTimeout(() => {
    const cell = cells.find((one) => states[one.state].event > states[chosen].event + 3);
    point('pointerdown', cell);
    point('pointerup', cell);
    said.push('click: ' + (states[chosen].event === states[cell.state].event));
    document.body.append(element('pre', {}, said.join('; ')));
  }, 300);
}, 300);
</script>
END
    dom driven.html
    has "keys and clicks choose states" "$area/dom" "End: fine · after the last event; \
Home: fine · before event 0; n: violation · before event 91; zoomed: true; click: true"
else
    number=$((number + 1))
    echo "ok $number - the page in a browser # SKIP no chromium"
fi
finish
