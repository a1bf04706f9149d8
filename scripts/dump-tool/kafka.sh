# Fetches Kafka's jars with Maven, and runs its classes. To be sourced in the project's folder.

# Sets kafka_version and kafka_jars; else says in `missing` what is not there.
fetch_kafka() {
    local tool pom=scripts/dump-tool/pom.xml
    for tool in java javac mvn; do
        command -v "$tool" >/dev/null || { missing="no $tool"; return 1; }
    done
    kafka_version=${KAFKA_VERSION:-$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' "$pom")}
    kafka_jars=$PWD/target/dump-tool/kafka-$kafka_version
    [ -e "$kafka_jars/.complete" ] && return 0
    mkdir -p "$kafka_jars"
    if ! mvn --quiet --batch-mode --file "$pom" "-Dkafka.version=$kafka_version" \
        dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$kafka_jars" \
        >"$kafka_jars/maven.txt" 2>&1; then
        missing="nothing fetched: Maven failed, see $kafka_jars/maven.txt"
        return 1
    fi
    touch "$kafka_jars/.complete"
}

# kafka <class or source file> <arguments>: warnings of Kafka's classes go to standard error.
kafka() {
    java -Xshare:auto -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 -Dsun.stdout.encoding=UTF-8 \
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=${KAFKA_LOG_LEVEL:-warn}" -cp "$kafka_jars/*" "$@"
}
