cd "$1"
for version in 2 3 4 5; do
    { echo "begin $version"; seq 5000; echo "end $version"; } >app.conf.new
    sync app.conf.new   # the content, before the name
    mv app.conf.new app.conf
    sync .              # the name, before the promise
    echo "$version" >>"$TXCRASH_ACK"
done
