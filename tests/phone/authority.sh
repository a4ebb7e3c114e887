# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Certificate authorities of an hour, made with the openssl program; to be read by scenarios.

# make_ca NAME: NAME.pem and its key.
make_ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 2 \
        -subj "/CN=$1" > openssl.said 2>&1 || bail "no CA $1" openssl.said
    mkdir "$1.d"
    : > "$1.d/index"
    echo 01 > "$1.d/serial"
    cat > "$1.cnf" << END
[ca]
default_ca = it
[it]
database = $1.d/index
serial = $1.d/serial
new_certs_dir = $1.d
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
END
}

# certify CA FILE ALTNAMES [END]: FILE.pem and FILE.key for those subjectAltNames ("": none, the common name is
# bob.example.com); END, such as 20200101000000Z, is in the past.
certify() {
    local subject=/CN=$2 names=(-addext "subjectAltName=$3") end=(-days 1)
    [ -n "$3" ] || subject=/CN=bob.example.com names=()
    [ $# -lt 4 ] || end=(-startdate 20190101000000Z -enddate "$4")
    {
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$2.key" -out request \
            -subj "$subject" "${names[@]}" && chmod 600 "$2.key" &&
            openssl ca -batch -config "$1.cnf" -cert "$1.pem" -keyfile "$1.key" -in request -out "$2.pem" \
                -notext "${end[@]}"
    } > openssl.said 2>&1 || bail "no certificate $2" openssl.said
}
