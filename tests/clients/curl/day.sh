#!/bin/sh
# A working day with curl, in the ways that Bitbucket Cloud's documentation shows: day.sh BASE_URL USER TOKEN. Ends with an
# error if anything is not as it should be.
set -eu
base=$1 user=$2 token=$3
repository=$base/repositories/home/curl-day
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# call STATUS ARGUMENT…: curl with a password, and the status that is to come of it.
call() {
    wanted=$1
    shift
    status=$(curl -sS -o answer -D headers -w '%{http_code}' -u "$user:$token" "$@")
    [ "$status" = "$wanted" ] || {
        echo "curl $*: $status instead of $wanted: $(cat answer)" >&2
        exit 1
    }
}

call 200 "$base/user"
call 200 -X POST -H 'Content-Type: application/json' -d '{"scm": "git", "is_private": "true"}' "$repository"

# Two files of a form, as in the documentation of `POST …/src`.
echo '# Hello' >README.md
call 201 "$repository/src" -F README.md=@README.md -F message='First' -F branch=main
printf '\000\001' >logo.png
call 201 "$repository/src" -F /docs/logo.png=@logo.png -F /src/main.c='int main(void) { return 0; }' \
    -F author='Ada Lovelace <ada@example.org>' --form-string message='Second'
grep -qi '^location: .*/commit/[0-9a-f]\{40\}' headers
# A field of a form, URL-encoded; and a file that goes.
call 201 "$repository/src" --data-urlencode '/notes/a b.txt=50% + more' --data-urlencode message=Third -d files=src/main.c

call 302 "$repository/src"
call 200 -L "$repository/src"
call 200 "$repository/src/main/docs/logo.png"
cmp answer logo.png
call 200 "$repository/src/main/notes/a%20b.txt"
[ "$(cat answer)" = '50% + more' ]
call 404 "$repository/src/main/src/main.c"
call 200 -G "$repository/commits" --data-urlencode 'include=main' -d pagelen=100
[ "$(grep -o '"type":"author"' answer | wc -l)" = 3 ]
grep -q 'Ada Lovelace <ada@example.org>' answer
call 200 -G "$base/repositories/home" --data-urlencode 'q=name ~ "CURL" AND is_private = true' -d 'fields=values.slug'
[ "$(cat answer)" = '{"values":[{"slug":"curl-day"}]}' ]

call 201 -X POST -H 'Content-Type: application/json' "$repository/refs/branches" \
    -d '{"name": "smf/create-feature", "target": {"hash": "main"}}'
call 204 -X DELETE "$repository/refs/branches/smf/create-feature"
call 400 -X DELETE "$repository/refs/branches/main"
call 201 -X POST -H 'Content-Type: application/json' "$repository/refs/tags" \
    -d '{"name": "new-tag-name", "target": {"hash": "main"}}'
call 200 "$repository/diffstat/main..new-tag-name"
call 201 -X POST -H 'Content-Type: application/json' "$repository/commit/main/statuses/build" \
    -d '{"key": "MY-BUILD", "state": "SUCCESSFUL", "description": "42 tests passed", "url": "https://www.example.org/my-build-result"}'

# Who sends no credential, or a wrong one, gets nothing.
[ "$(curl -sS -o /dev/null -w '%{http_code}' "$repository")" = 401 ]
[ "$(curl -sS -o /dev/null -w '%{http_code}' -u "$user:wrong" "$repository")" = 401 ]
[ "$(curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$repository")" = 200 ]
call 204 -X DELETE "$repository"
call 404 "$repository"
echo 'a working day is over'
