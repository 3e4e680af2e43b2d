<?php
// Makes a Composer repository of two packages: greet, and shout, which uses it.

$url = $argv[1];
$packages = [];

function package(string $name, string $source, array $requires): array
{
    global $url;
    $about = ['name' => "acme/$name", 'version' => '1.0.0', 'require' => (object) $requires,
        'autoload' => ['files' => ['functions.php']]];
    $archive = new PharData("$name.tar");
    $archive->addFromString("$name/composer.json", json_encode($about));
    $archive->addFromString("$name/functions.php", $source);
    $about['dist'] = ['type' => 'tar', 'url' => "$url/$name.tar", 'shasum' => sha1_file("$name.tar")];
    return ["acme/$name" => ['1.0.0' => $about]];
}

$packages += package('greet', '<?php namespace Acme\Greet; function hello() { return "hello"; }', []);
$shout = '<?php namespace Acme\Shout; function hello() { return strtoupper(\Acme\Greet\hello()); }';
$packages += package('shout', $shout, ['acme/greet' => '^1.0']);
file_put_contents('packages.json', json_encode(['packages' => $packages]));
