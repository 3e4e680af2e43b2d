# Makes a Maven repository of two artifacts: greet, and shout, which uses it.
set -e

artifact() { # name, source of its class, dependency
    folder=org/example/$1/1.0
    mkdir -p "$folder" "classes/$1"
    printf '%s\n' "$2" > "$3.java"
    javac -cp "$(ls org/example/*/1.0/*.jar 2>/dev/null | tr '\n' ':')" -d "classes/$1" "$3.java"
    jar cf "$folder/$1-1.0.jar" -C "classes/$1" .
    cat > "$folder/$1-1.0.pom" <<POM
<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId>
<artifactId>$1</artifactId><version>1.0</version><dependencies>$4</dependencies></project>
POM
    for file in "$folder/$1-1.0.jar" "$folder/$1-1.0.pom"; do
        sha1sum "$file" | cut -d ' ' -f 1 > "$file.sha1"
    done
}

artifact greet 'package org.example;
public class Greet { public static String hello() { return "hello"; } }' Greet ''
artifact shout 'package org.example;
public class Shout { public static String hello() { return Greet.hello().toUpperCase(); } }' Shout \
    '<dependency><groupId>org.example</groupId><artifactId>greet</artifactId><version>1.0</version></dependency>'
