
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-build] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-build'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-build'= {
            cand --context 'The same as CONTEXT'
            cand -t 'Name of the image; repeatable'
            cand --tag 'Name of the image; repeatable'
            cand --label 'Label; repeatable'
            cand --annotation 'Annotation of the manifest; repeatable'
            cand --ignorefile 'Ignore file to use instead of the context''s own'
            cand --exclude-file 'Ignore file to use instead of the context''s own'
            cand --exclude 'Further pattern to leave out, after those of the ignore file; repeatable'
            cand --platform 'Platform the image says it is for [default: Linux on this machine''s architecture; environment: DOCKER_DEFAULT_PLATFORM]'
            cand --entrypoint 'Command that always runs: a JSON array, or words as a shell splits them'
            cand --cmd 'Default arguments: a JSON array, or words as a shell splits them'
            cand -e 'Environment variable; without a value it is taken from this environment; repeatable'
            cand --env 'Environment variable; without a value it is taken from this environment; repeatable'
            cand --user 'User and group the command runs as'
            cand -w 'Directory the command starts in'
            cand --workdir 'Directory the command starts in'
            cand --expose 'Port the command listens on, or a range; repeatable'
            cand --volume 'Path that holds data of its own; repeatable'
            cand --stop-signal 'Signal that asks the container to stop'
            cand --healthcheck-cmd 'Command that tells whether the container is healthy: a JSON array, text for its shell, or none'
            cand --copy-to 'Where in the image the context lands'
            cand --chown 'Owner of all files, as numbers'
            cand --layers 'Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty'
            cand --compression-format 'How the layers are compressed'
            cand --compression 'How the layers are compressed'
            cand --compression-level 'How hard: 1 to 12 for gzip, 1 to 19 for zstd, which takes up to 200 MiB of memory from 10 on [default: 6 and 3]'
            cand --timestamp 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]'
            cand --source-date-epoch 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]'
            cand --iidfile 'Write the image id to FILE'
            cand --digestfile 'Write the manifest''s digest to FILE'
            cand --digest-file 'Write the manifest''s digest to FILE'
            cand --metadata-file 'Write name, id and digest as JSON to FILE'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --no-cache 'Read every file again instead of taking layers from earlier builds'
            cand -q 'Print the image id only'
            cand --quiet 'Print the image id only'
            cand -v 'Say more about each step'
            cand --verbose 'Say more about each step'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
